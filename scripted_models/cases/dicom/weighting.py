"""What the attributes of a series say: that it is none of the four sequences, or which it may be.

Attributes become words, so that the one reader of names judges them with the description.
"""

from scripted_models.cases.dicom.attributes import DicomImage
from scripted_models.cases.name_tokens import DENIED, name_words
from scripted_models.cases.name_words import NATIVE, NOT
from scripted_models.errors import phrases

_NO_MAGNITUDE = frozenset({"P", "R", "I", "PHASE", "REAL", "IMAGINARY", "PHASE MAP"})
_OTHER_PARTS = frozenset(
    (
        *("SPINE", "CSPINE", "TSPINE", "LSPINE", "SSPINE", "NECK", "CHEST", "THORAX", "ABDOMEN"),
        *("PELVIS", "KNEE", "SHOULDER", "HIP", "ANKLE", "FOOT", "HAND", "WRIST", "ELBOW", "HEART"),
        *("BREAST", "LIVER", "PROSTATE", "LEG", "ARM", "CERVICAL", "THORACIC", "LUMBAR", "ORBIT"),
        *(
            "ORBITS",
            "ORBITA",
            "IAC",
            "IAM",
            "PITUITARY",
            "SELLA",
            "HYPOPHYSE",
            "HALS",
            "HWS",
            "BWS",
        ),
        *("LWS", "WIRBELSAULE", "RACHIS", "COLUMNA", "COLONNE", "COLONNA", "RACHIDE", "TMJ"),
    )
)
_HEAD = frozenset({"brain", "head", "kopf", "schadel", "hirn", "cerveau", "cerebro", "craneo"})
_FLAIR_TI_MS, _T1_TI_MS, _STIR_TI_MS = (1400, 3500), (300, 1400), 300
_T2_TE_MS, _T1_TE_MS, _T2STAR_TE_MS = 60, 40, 14
_T1_TR_MS, _T2_TR_MS, _FLAIR_TR_MS = 1300, 1500, 7000
_NO_AGENT = frozenset({"", "n", "none", "no", "0", "na", "null", "unknown"})

_ = phrases(__name__)


def is_other_by_attributes(image: DicomImage) -> str:
    """Say why a series is no sequence, whatever its name; "" where it may be one."""
    types = image.image_type
    if image.modality != "MR":
        return _("its modality is {modality}").format(modality=image.modality or _("not told"))
    if "LOCALIZER" in types:
        return _("it is a localizer (ImageType)")
    if "DERIVED" in types[:1] or "SECONDARY" in types[1:2]:
        return _("it is derived (ImageType {type})").format(type="\\".join(types[:4]))
    if "MOSAIC" in types:
        return _("it is a mosaic of several volumes (ImageType)")
    if _NO_MAGNITUDE & {*types[2:], *(word[:1] for word in types[2:3] if word[1:2] == "_")}:
        return _("it is no magnitude image (ImageType {type})").format(type="\\".join(types[:4]))
    if image.b_value:
        return _("it is weighted for diffusion (b {b})").format(b=f"{image.b_value:g}")
    if "EP" in image.scanning:
        return _("it is echo-planar, as for diffusion or perfusion")
    if image.is_angiography:
        return _("it is an angiography (AngioFlag)")
    if image.samples > 1:
        return _("it holds color images")
    if part := _other_part(image):
        return _("it shows another part of the body ({part})").format(part=part)
    return ""


def _other_part(image: DicomImage) -> str:
    """Return the part of the body that attribute or description name, "" for the head."""
    if image.body_part.replace("-", "").replace(" ", "") in _OTHER_PARTS:
        return image.body_part
    words = [word.text for word in name_words(image.description)]
    named = [word for word in words if word.upper() in _OTHER_PARTS]
    return named[0] if named and not _HEAD & set(words) else ""


def has_agent(image: DicomImage) -> bool | None:
    """Tell whether the attribute states contrast medium (True), denies it (False) or is empty."""
    return states_agent(image.agent)


def states_agent(text: str) -> bool | None:
    """Tell the same of a text for ContrastBolusAgent."""
    text = text.lower().strip(" .-")
    if text in _NO_AGENT:
        return False if text in ("none", "no", "n") else None
    words = [word.text for word in name_words(text)]
    against = [word in NOT or word in NATIVE or word == DENIED for word in words]
    if not any(against):
        return True
    return False if against[0] else None  # 'Dotarem, no reaction'


def attribute_words(image: DicomImage, agent: bool | None) -> str:
    """Put echo, repetition and inversion time and what they mean into words.

    Args:
        image: any slice of the series.
        agent: what is known of contrast medium, see `has_agent`.

    Example: "TE 110 TR 9000 TI 2500 FLAIR", "TE 12 TR 600 T1 with contrast".
    """
    times = (("TE", image.echo_ms), ("TR", image.repetition_ms), ("TI", image.inversion_ms))
    words = [f"{name} {value:.0f}" for name, value in times if value is not None]
    meant = _weighting(image)
    if meant == "T1" and agent is not None:
        meant += " with contrast" if agent else " without contrast"
    elif not meant and agent:
        return " ".join(words)
    return " ".join([*words, *([meant] if meant else [])])


def _weighting(image: DicomImage) -> str:
    """Return what the times make of a series; "" where they leave it open."""
    te, tr, ti = image.echo_ms, image.repetition_ms, image.inversion_ms
    if te is None:
        return ""
    if ti:
        return _inverted(te, ti)
    if tr is None or not image.scanning:
        return ""
    if "SE" not in image.scanning:
        return _gradient_echo(image, te)
    if te <= _T1_TE_MS and tr <= _T1_TR_MS:
        return "T1"
    if te >= _T2_TE_MS and tr >= _T2_TR_MS:
        return "T2" if tr < _FLAIR_TR_MS else ""  # a FLAIR may lack its inversion time
    return "PD" if te < _T1_TE_MS and tr > _T2_TR_MS else ""


def _gradient_echo(image: DicomImage, te: float) -> str:
    """Magnetization-prepared in 3-D it is T1 (MPRAGE, TFE), with a long echo time T2*."""
    if "GR" in image.scanning and te >= _T2STAR_TE_MS:
        return "T2 star"
    return "T1" if image.is_3d and "MP" in image.variant else ""


def _inverted(te: float, ti: float) -> str:
    if ti < _STIR_TI_MS:
        return "STIR" if te >= _T2STAR_TE_MS else ""
    if te >= _T2_TE_MS:
        return "FLAIR" if _FLAIR_TI_MS[0] <= ti <= _FLAIR_TI_MS[1] else ""
    return "T1" if te < _T1_TE_MS and _T1_TI_MS[0] <= ti <= _T1_TI_MS[1] else ""
