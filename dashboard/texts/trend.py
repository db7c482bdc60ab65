"""Words of assets/trend.mjs, which draws a number over time on several pages."""

SCRIPT = {
    "empty": "no value in this time",
    "column": "{time}: {value} {unit}",
    "column_band": "{time}: {value} {unit} ({low} to {high})",
    "label": (
        "{title} from {from} to {to}: {least} to {most} {unit}, newest {newest}, known for {share} % of the "
        "time. Arrow keys read it out."
    ),
    "label_empty": "{title} from {from} to {to}: no value is known.",
}
