"""The monitor a person looks at: live waveforms, heart rate, verdicts and alarms in a browser."""
