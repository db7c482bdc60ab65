"""What the wall says: its tools, its summary, and what is out of sight."""

SKELETONS = 8  # until a browser has seen how many patients there are

SCRIPT = {
    "tools": "Tools of the wall",
    "summary": {
        "unknown": "Not live",
        "calm_one": "1 patient, no alarms",
        "calm": "{count} patients, no alarms",
        "alarms": "{alarms} of {count} with alarms",
        "findings": "{text} · model findings: {findings}",
    },
    "group": {
        "calm_one": "1 patient",
        "calm": "{count} patients",
        "alarms": "{alarms} of {count} with alarms",
    },
    "group_title": "Show {site} alone",
    "site": "Site",
    "site_all": "All sites",
    "sort": "Order",
    "sorts": {"site": "Site", "bed": "Bed", "alarm": "Alarm"},
    "sort_titles": {
        "site": "By site, then by bed",
        "bed": "By bed",
        "alarm": "By alarm, then by bed. Panels keep their places until you ask again or a high alarm comes.",
    },
    "sort_again": "Sort again",
    "search": "Search",
    "search_hint": "Search  /",
    "search_title": "Name, site or device. / brings you here, Escape clears.",
    "search_count": "{count} of {total}",
    "search_said": "{count} of {total} match",
    "none_title": "Nobody matches",
    "none_text": "No name, site or device holds what you typed or chose.",
    "show_all": "Show all",
    "enlarge": "Enlarge {name}, or put it back (f)",
    "enlarged": "Enlarged",
    "alone": "Only these",
    "alone_title": "Show the enlarged patients alone",
    "put_back": "Put back",
    "kiosk": "Kiosk",
    "kiosk_title": "Nothing but patients, in full screen, kept awake. Escape leaves.",
    "kiosk_leave": "Leave kiosk",
    "full": "Full screen",
    "full_leave": "Leave full screen",
    "wake": {
        "refused": "The browser does not keep this screen awake: "
        "switch off its sleep in the system's settings.",
        "unable": "This browser cannot keep the screen awake (it can over https or on localhost): "
        "switch off its sleep in the system's settings.",
    },
    "elsewhere": "{count} out of sight, no alarms",
    "elsewhere_unknown": "{count} out of sight, alarms unknown",
    "elsewhere_seen": "{count} out of sight, {alarms} with alarms that were seen",
    "elsewhere_alarm": "{name}  {alarm}",
    "elsewhere_show": "Out of sight: show",
    "scale": "25 mm/s · {gain} mm/mV",
    "remark": {"latched": "ended", "ack": "seen"},
    "battery": "{battery} %",
    "battery_low": "battery low {battery} %",
}
