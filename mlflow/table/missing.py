"""What stands in CSV for a value that is not there."""

# pandas' own words and a question mark. The backend knows the same ones.
MISSING = (
    *("", "?", "NA", "<NA>", "#NA", "N/A", "n/a", "#N/A", "#N/A N/A", "NULL", "null", "None"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
