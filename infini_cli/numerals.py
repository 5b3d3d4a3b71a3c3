"""English words for numbers, by their kind."""

UNITS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
GREAT = ("hundred", "thousand", "million")
# "one" alone is seldom a count, and is missing here.
NUMERALS = (*UNITS, *TEENS, *TENS, *GREAT)
