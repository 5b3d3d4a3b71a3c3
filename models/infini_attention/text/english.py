"""English words that tell people apart from other things."""

_ACTS = """
    said says asked asks replied answered cried thought thinks knew knows looked looks smiled nodded shook laughed
    whispered shouted told tells heard felt feels saw sees wanted wants went goes came comes sat stood walked turned spoke
    called wondered wished believed remembered decided agreed sighed frowned stared glanced took takes gave gives
"""
_TITLES = """
    mr mrs miss ms dr sir lady lord madame madam mme monsieur mademoiselle captain colonel major general sergeant
    professor doctor commissioner president inspector ambassador secretary judge reverend king queen prince princess father
    mother uncle aunt
"""
_ROLES = """
    king queen boy girl son daughter wife husband father mother sister brother uncle aunt cousin nephew niece friend captain
    judge chief head nurse widow child baby dog wolf horse cat clerk cook guard heir lord lady maid monk nun priest prince
    servant slave spy thief youth orphan consul poet host guest patient student agent president assistant lieutenant
    sergeant general colonel major count duke lad bride groom twin pilot squire page knight giant dwarf fairy witch
"""

# What people do, as a verb of which somebody is the subject.
ACTS = frozenset(_ACTS.split())
# Forms of address, and those of men and of women.
TITLES = frozenset(_TITLES.split())
HE_TITLES = frozenset(("mr", "sir", "lord", "monsieur", "king", "prince", "father", "uncle"))
SHE_TITLES = frozenset(
    ("mrs", "miss", "ms", "lady", "madame", "madam", "mme", "mademoiselle", "queen", "princess", "mother", "aunt")
)
# What somebody can be: these nouns, and nouns with these endings.
ROLES = frozenset(_ROLES.split())
ROLE_ENDINGS = ("er", "or", "ist", "man", "woman", "ian", "eer", "ess", "ster")
# Forms of "be" that tell what somebody is.
IS = frozenset(("is", "was", "'s", "are", "were"))
