"""Run every variant against everything that it claims, and say what is accused.

python -m focal_ref.conformance.variants
"""

import sys

from focal_ref.conformance.variants import false_alarms, variants


def main() -> int:
    """A line for each variant; exit code 1 for a false alarm."""
    alarms = 0
    for variant in variants():
        items, accused = false_alarms(variant)
        alarms += len(accused)
        print(f"{variant.name}: {items} items, {', '.join(map(str, accused)) or 'no false alarm'}", flush=True)
    print(f"{len(variants())} variants, {alarms} false alarms")
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
