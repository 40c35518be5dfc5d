"""Polynomials behind the kernels' exp and log1p: minimax fits, highest power first.

``exp(r) = 1 + r + r^2 P(r)`` for ``|r| <= log(2) / 2``; in float64 ``atanh(t) = t + t u Q(u)`` with ``u = t^2 <= 1/9``,
and in float32 ``log1p(e) = e + e^2 R(e)`` for ``0 <= e <= 1``. P and Q err by less than an eighth of an ulp of their
format, R by less than three eighths, most of it from the rounding of its coefficients;
`tests/kernels/test_polynomials.py` fits them anew and bounds that error.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Polynomials:
    """The constants of one working format.

    Attributes
    ----------
    exp, atanh, log1p
        Coefficients of P, Q and R, where the format has them.
    log2_high, log2_low
        log(2) in two parts; the high one has so few bits that its product with any exponent of the format is exact.
    log2_reciprocal
        1 / log(2).
    round_to_integer
        1.5 * 2^(precision - 1): adding it leaves the nearest integer in the low bits of the sum.
    vanishing
        exp(-x) rounds to zero for every x from here on.
    """

    exp: tuple[float, ...]
    log2_high: float
    log2_low: float
    log2_reciprocal: float
    round_to_integer: float
    vanishing: float
    atanh: tuple[float, ...] = ()
    log1p: tuple[float, ...] = ()


_hex = float.fromhex

FLOAT64 = Polynomials(
    exp=(
        _hex("0x1.af38a9b0ec855p-26"),
        _hex("0x1.289185613a3d6p-22"),
        _hex("0x1.71de0dae63bb3p-19"),
        _hex("0x1.a019b90d2ae7ap-16"),
        _hex("0x1.a01a01a7c41d5p-13"),
        _hex("0x1.6c16c1788bd90p-10"),
        _hex("0x1.11111111109b3p-7"),
        _hex("0x1.5555555553d63p-5"),
        _hex("0x1.5555555555556p-3"),
        _hex("0x1.0000000000001p-1"),
    ),
    atanh=(
        _hex("0x1.4b0a26c5f2aefp-4"),
        _hex("0x1.687a6e7c95176p-5"),
        _hex("0x1.eb905e8575054p-5"),
        _hex("0x1.10ac75dc602b1p-4"),
        _hex("0x1.3b18b294bebf9p-4"),
        _hex("0x1.745cf0b0e03bdp-4"),
        _hex("0x1.c71c727143318p-4"),
        _hex("0x1.24924923d44c6p-3"),
        _hex("0x1.999999999a3ddp-3"),
        _hex("0x1.5555555555555p-2"),
    ),
    log2_high=_hex("0x1.62e42fefa3800p-1"),
    log2_low=_hex("0x1.ef35793c76730p-45"),
    log2_reciprocal=_hex("0x1.71547652b82fep+0"),
    round_to_integer=6755399441055744.0,
    vanishing=746.0,
)

FLOAT32 = Polynomials(
    exp=(
        _hex("0x1.a124f19fe89acp-13"),
        _hex("0x1.6d43246b523b4p-10"),
        _hex("0x1.1110e0f238322p-7"),
        _hex("0x1.5554e9063586ep-5"),
        _hex("0x1.5555555a78ed4p-3"),
        _hex("0x1.0000000b9129bp-1"),
    ),
    log1p=(
        _hex("-0x1.24b298p-8"),
        _hex("0x1.9d455ap-6"),
        _hex("-0x1.11708cp-4"),
        _hex("0x1.d992bcp-4"),
        _hex("-0x1.448ee2p-3"),
        _hex("0x1.969cb2p-3"),
        _hex("-0x1.ffb95cp-3"),
        _hex("0x1.55540cp-2"),
        _hex("-0x1.fffffep-2"),
    ),
    log2_high=_hex("0x1.62e4p-1"),
    log2_low=_hex("0x1.7f7d1cf79abcap-20"),
    log2_reciprocal=_hex("0x1.71547652b82fep+0"),
    round_to_integer=12582912.0,
    vanishing=104.5,
)
