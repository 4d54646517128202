"""The only doors to clock, ids, dice, state directory, codecs and units."""
