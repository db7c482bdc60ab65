// What stands around every page: connection, banners, the worst alarm anywhere, and what is read aloud.

import { alarmText, isWorse, shapeOf } from "./patient_view.mjs";
import {
  age, element, minutesAndSeconds, navigate, say, setData, setHidden, setText, setTitle, texts,
} from "./words.mjs";

export class Shell {
  constructor(live) {
    this.live = live;
    this.announced = new Map(); // "device kind" -> text last read aloud
    for (const id of ["worst-alarm", "paused"]) {
      const link = document.getElementById(id);
      link.addEventListener("click", (event) => {
        event.preventDefault();
        navigate(link.getAttribute("href"));
      });
    }
  }

  update() {
    this.#fillConnection();
    this.#fillBanners();
    this.#fillWorst();
    this.#fillPaused();
    this.#markPage();
    this.#announce();
  }

  #fillConnection() {
    const { live } = this;
    const isLive = live.isLive && live.state.broker;
    const node = document.getElementById("connection");
    const count = live.devices.length;
    const patients = count === 1 ? texts.patients_one : say(texts.patients_many, { count });
    setData(node, "live", String(isLive));
    const words = isLive ? [texts.live, ` · ${patients}`] : [texts.not_live, ""];
    if (this.connectionWords !== words.join("")) {
      this.connectionWords = words.join("");
      node.replaceChildren(words[0], element("span", "connection-count", {}, [words[1]])); // a phone has no room
    }
    const clock = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    setText(document.getElementById("clock"), clock);
    setData(document.documentElement, "live", String(isLive));
  }

  #fillBanners() {
    const lines = this.#bannerLines();
    const key = JSON.stringify(lines);
    if (key === this.bannersKey) return;
    this.bannersKey = key;
    const banners = lines.map(([priority, line]) =>
      element("div", "banner", { "data-priority": priority }, [shapeOf(priority), line]));
    document.getElementById("banners").replaceChildren(...banners);
  }

  // [priority, words] of what keeps this page, or Wristlead, from telling everything.
  #bannerLines() {
    const { live } = this;
    if (!live.isLive) {
      const isJustOpened = live.state === null && live.silentS() < 1.5;
      return isJustOpened ? [] : [["low", say(texts.not_live_banner, { age: age(live.silentS()) })]];
    }
    const since = (us) => age((live.nowUs() - us) / 1e6);
    const { broker, broker_since_us: brokerSince, services, own_alarms: ownAlarms } = live.state;
    if (!broker) {
      const isNews = live.nowUs() - brokerSince >= 1e6;
      return isNews ? [["low", say(texts.broker_banner, { age: since(brokerSince) })]] : [];
    }
    const failing = services.filter((service) => service.is_missing || service.trouble);
    const named = failing.map((service) => service.name); // and their alarms need not be named again
    return [
      ...failing.map((service) => ["low", serviceLine(service, since)]),
      ...ownAlarms.filter((alarm) => !named.includes(alarm.device.split("/")[1]))
        .map((alarm) => [alarm.priority, alarmText(alarm)]),
    ];
  }

  // The page that is open, for eyes and screen readers; its title is its first heading.
  #markPage() {
    const path = window.location.pathname;
    const heading = document.querySelector("main h1")?.textContent;
    const title = heading ? `${heading} \u00b7 ${texts.product}` : texts.product;
    if (document.title !== title) document.title = title;
    if (path === this.path) return;
    this.path = path;
    for (const link of document.querySelectorAll(".top nav a, .top .brand")) {
      const href = link.getAttribute("href");
      const isHere = href === "/" ? path === "/" : path === href || path.startsWith(`${href}/`);
      if (isHere) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  #fillPaused() {
    const node = document.getElementById("paused");
    const left = this.live.pausedS();
    setHidden(node, left === 0);
    if (left === 0) return;
    setText(node, say(texts.paused, { time: minutesAndSeconds(left) }));
    setTitle(node, say(texts.paused_title, { who: this.live.state.paused.who }));
  }

  #fillWorst() {
    let worst = null;
    let count = 0;
    for (const patient of this.live.patients.values()) {
      for (const alarm of patient.alarms) {
        if (alarm.priority === "advisory" || alarm.state === "ack") continue;
        count += 1;
        if (worst === null || isWorse(alarm, worst.alarm)) worst = { alarm, patient };
      }
    }
    const node = document.getElementById("worst-alarm");
    setHidden(node, worst === null);
    if (worst === null) return;
    const { alarm, patient } = worst;
    const more = count > 1 ? ` ${say(texts.more, { count: count - 1 })}` : "";
    const text = `${patient.name}  ${alarmText(alarm)}${more}`;
    setData(node, "priority", alarm.priority);
    setData(node, "queue", alarm.queue);
    setData(node, "state", alarm.state);
    if (node.getAttribute("href") !== `/patient/${patient.device}`) node.href = `/patient/${patient.device}`;
    if (this.worstText === text) return;
    this.worstText = text;
    node.replaceChildren(shapeOf(alarm.priority), element("span", "strip-text", {}, [text]));
  }

  // Each alarm is read aloud once when it begins; a changing value within it is not read again.
  #announce() {
    const present = new Map();
    for (const patient of this.live.patients.values()) {
      for (const alarm of patient.alarms) {
        if (alarm.state === "on") present.set(`${patient.device} ${alarm.kind} ${alarm.since_us}`, [patient, alarm]);
      }
    }
    const said = { "announce-urgent": [], "announce-quiet": [] }; // all that began together is read
    for (const [key, [patient, alarm]] of present) {
      if (this.announced.has(key)) continue;
      const text = `${texts.priority[alarm.priority]}: ${alarm.text}`;
      said[alarm.priority === "high" ? "announce-urgent" : "announce-quiet"].push(
        say(texts.announce, { name: patient.name, text }),
      );
    }
    for (const [id, lines] of Object.entries(said)) {
      if (lines.length) setText(document.getElementById(id), lines.join(". "));
    }
    this.announced = present;
  }
}

function serviceLine(service, since) {
  const name = texts.service_name[service.name];
  if (!service.is_missing) {
    const effect = texts.store_effect[service.name];
    return say(texts.store_banner, { service: name, trouble: service.trouble, effect });
  }
  return say(service.is_unseen ? texts.service_unseen_banner : texts.service_banner, {
    service: name, age: since(service.since_us), effect: texts.service_effect[service.name],
  });
}
