"""English words for numbers, by their kind."""

UNITS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
GREAT = ("hundred", "thousand", "million")
# "one" alone is seldom a count, and is missing here.
NUMERALS = (*UNITS, *TEENS, *TENS, *GREAT)

# Parts of regular expressions: what "a" may stand before, and a part of a number in words or figures.
COUNTED_BY = "|".join((*GREAT, "dozen"))
PART = rf"(?:\d[\d,.]*\d|\d|{'|'.join((*NUMERALS, 'dozen'))})"
