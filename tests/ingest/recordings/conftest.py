import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # wfdb's own, of pandas, at import
    import wfdb

assert wfdb
