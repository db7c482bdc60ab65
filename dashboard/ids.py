"""Ids of the elements that callbacks and asset scripts find; the scripts' copies stand in assets/*.mjs."""

PROVIDER = "mantine"
LOCATION = "location"
PAGE = "page"
BANNERS = "banners"
WORST_ALARM = "worst-alarm"
PAUSED = "paused"
SOUND = "sound"
CONNECTION = "connection"
CLOCK = "clock"
THEME = "theme-choice"
ANNOUNCE_URGENT = "announce-urgent"
ANNOUNCE_QUIET = "announce-quiet"

NOTICE = "notice"
NOTICE_TITLE = "notice-title"
NOTICE_WHO = "notice-who"
NOTICE_ACCEPT = "notice-accept"
NOTICE_OPEN = "notice-open"

WALL = "wall"
WALL_EMPTY = "wall-empty"
WALL_LOADING = "wall-loading"

PATIENT = "patient"
ACKNOWLEDGE = "acknowledge"
EDIT_LIMITS = "edit-limits"
DISCHARGE = "discharge"
FREEZE = "freeze"
SCREEN_SIZE = "screen-size"
TRENDS = "trends"
NOTES = "notes"
WHY_OPEN = "why-open"
WHY = "why"

EVENT = "event"
EVENT_WANTED = "event-wanted"  # store: the event on screen and how often it was asked for, by event.mjs
EVENT_STRIP = "event-strip"  # store: strip.strip_data, drawn by event.mjs
EVENT_NOTE = "event-note"
EVENT_TITLE = "event-title"
EVENT_LOG = "event-log"
EVENT_ACKNOWLEDGE = "event-acknowledge"

ALARMS = "alarms"
ACTIVE_ALARMS = "active-alarms"
PAUSE = "pause-all"
SOUND_TEST = "sound-test"
HISTORY = "alarm-history"
HISTORY_CHANGED = "history-changed"  # store: bumped by alarms.mjs when an alarm changed
HISTORY_DEVICE = "history-device"
HISTORY_KIND = "history-kind"
HISTORY_PRIORITY = "history-priority"
HISTORY_STATE = "history-state"
HISTORY_SPAN = "history-span"
NOISIEST = "noisiest"

DEVICES = "devices"
DEVICE_ROWS = "device-rows"
SERVICE_ROWS = "service-rows"

MODEL = "model"
MODEL_CARD = "model-card"
MODEL_WHOLE = "model-whole"
MODEL_TEXT = "model-text"

SETTINGS = "settings"
SITE_ROWS = "site-rows"
PATIENT_ROWS = "patient-rows"
LOG_ROWS = "log-rows"
KEEPING = "keeping"  # the sections: their addresses too
SITES = "sites"
PATIENTS = "patients"
LOG = "log"

REVIEW = "review"

RECORDINGS = "recordings"
RECORDING = "recording"

CHANNELS = "channels"
CONNECT = "connect"
CHANNEL_ROWS = "channel-rows"
