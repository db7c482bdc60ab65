from benchmarks.pipeline import measure_fleet


def test_a_fleet_is_measured_by_stage_and_its_rates_are_found() -> None:
    figures = measure_fleet(3, seconds=12)
    stages = [name for name in figures if name.endswith("_us")]
    assert len(stages) == 5
    assert abs(sum(figures[name] for name in stages) - figures["us_per_device_second"]) < 0.5
    assert figures["over_floor"] > 1.0
