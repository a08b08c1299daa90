const MOST = 2 ** 24;

/**
 * Rounds to the nearest whole number, halves to the even one.
 *
 * @param {number} value
 * @returns {number}
 */
export function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/**
 * A latent as a symbol, within what the coder's escapes can carry.
 *
 * @param {number} value
 * @param {number} [deadZone] moves it towards zero first, and not beyond
 */
export function toSymbol(value, deadZone = 0) {
  if (deadZone) value = Math.sign(value) * Math.max(Math.abs(value) - deadZone, 0);
  return Math.min(Math.max(roundHalfEven(value), -MOST), MOST);
}
