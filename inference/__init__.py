"""Windows become verdicts, and vitals, verdicts and presence become alarms."""
