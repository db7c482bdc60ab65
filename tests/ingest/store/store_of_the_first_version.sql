BEGIN TRANSACTION;
CREATE TABLE alarm (
	device VARCHAR(129) NOT NULL,
	kind VARCHAR(32) NOT NULL,
	alarm VARCHAR NOT NULL,
	PRIMARY KEY (device, kind)
);
CREATE TABLE alarm_memory (
	device VARCHAR(129) NOT NULL,
	memory VARCHAR NOT NULL,
	PRIMARY KEY (device)
);
CREATE TABLE alarm_transition (
	id INTEGER NOT NULL,
	device VARCHAR(129) NOT NULL,
	kind VARCHAR(32) NOT NULL,
	at_us BIGINT NOT NULL,
	state VARCHAR(16) NOT NULL,
	priority VARCHAR(16) NOT NULL,
	text VARCHAR NOT NULL,
	since_us BIGINT NOT NULL,
	who VARCHAR(64),
	model VARCHAR(64),
	PRIMARY KEY (id)
);
CREATE TABLE chunk (
	id INTEGER NOT NULL,
	device VARCHAR(129) NOT NULL,
	session BIGINT NOT NULL,
	first_sample BIGINT NOT NULL,
	n_samples INTEGER NOT NULL,
	received_us BIGINT NOT NULL,
	historic BOOLEAN NOT NULL,
	payload BLOB NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT one_chunk UNIQUE (device, session, first_sample)
);
CREATE TABLE refused (
	id INTEGER NOT NULL,
	device VARCHAR(129) NOT NULL,
	received_us BIGINT NOT NULL,
	reason VARCHAR NOT NULL,
	payload BLOB NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE verdict (
	device VARCHAR(129) NOT NULL,
	session BIGINT NOT NULL,
	first_sample BIGINT NOT NULL,
	wall_time_us BIGINT NOT NULL,
	model VARCHAR(64) NOT NULL,
	decided_us BIGINT NOT NULL,
	historic BOOLEAN NOT NULL,
	indeterminate VARCHAR(64),
	findings VARCHAR NOT NULL,
	PRIMARY KEY (device, session, first_sample)
);
INSERT INTO "verdict" VALUES('ward/bed-1',7,5120,10240000,'m1',20300000,0,NULL,'[{"superclass":"NORM","probability":0.25,"threshold":0.5,"presence":"absent"},{"superclass":"MI","probability":0.25,"threshold":0.5,"presence":"absent"},{"superclass":"STTC","probability":0.25,"threshold":0.5,"presence":"absent"},{"superclass":"CD","probability":0.25,"threshold":0.5,"presence":"absent"},{"superclass":"HYP","probability":0.25,"threshold":0.5,"presence":"absent"}]');
INSERT INTO "verdict" VALUES('ward/bed-1',7,0,0,'m1',10300000,0,'noisy','[]');
CREATE TABLE vitals (
	device VARCHAR(129) NOT NULL,
	at_us BIGINT NOT NULL,
	session BIGINT NOT NULL,
	last_sample BIGINT NOT NULL,
	heart_rate_bpm FLOAT,
	signal VARCHAR(16) NOT NULL,
	PRIMARY KEY (device, at_us)
);
CREATE TABLE window (
	id INTEGER NOT NULL,
	device VARCHAR(129) NOT NULL,
	session BIGINT NOT NULL,
	first_sample BIGINT NOT NULL,
	n_samples INTEGER NOT NULL,
	wall_time_us BIGINT NOT NULL,
	fs FLOAT NOT NULL,
	lead INTEGER NOT NULL,
	coverage FLOAT NOT NULL,
	lead_off FLOAT NOT NULL,
	clipped FLOAT NOT NULL,
	historic BOOLEAN NOT NULL,
	closed_us BIGINT NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT one_window UNIQUE (device, session, first_sample)
);
CREATE INDEX alarm_transition_by_time ON alarm_transition (device, at_us);
CREATE INDEX chunk_by_arrival ON chunk (device, received_us);
CREATE INDEX refused_by_device ON refused (device, id);
CREATE INDEX window_by_device ON window (device, closed_us);
CREATE INDEX window_by_close ON window (closed_us);
COMMIT;
