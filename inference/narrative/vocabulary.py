"""Which words an answer may use beside those of its own sentence, and which it must keep."""

# What a sentence is about: where the template has such a word, the answer must have it, and the reverse.
_KEYWORDS = """
agree atrial attack beat beats block branch bundle changed contact contradict disturbance effort electrode
electrodes fast fibrillation flat heart impulse irregular lead missing muscle noisy normal rate recovers
recovery regular rhythm samples segment shape sleep slow spread spreads swapped thickened unusual usual very
wave waves
"""
# Words that add nothing by themselves: no number, condition, cause, comfort or advice among them.
_PLAIN = """
a about also an and are as at be been being but by did do does each for from had has have here how i in is it
its just like of on only or other our out over own s so than that the their them then there these they this
those through to too under up us was we were what when where whether which while who with you your yet still
both between during
model computer program says said say shows show shown sees saw seen see tell tells told found finds find read
reads measured measures measure made makes make given give gave gives seems seem looks look appears appear
resembles resemble fits fit may might
way ways thing things part parts line trace time times moment now person people someone anyone others minute
minutes per cent percent second seconds figure figures result results
sure unsure uncertain unclear know knows known unknown not cannot no
well best rather quite always device recording ecg signal
"""
KEYWORDS = frozenset(_KEYWORDS.split())
PLAIN = frozenset(_PLAIN.split())
