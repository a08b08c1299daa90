/** zlib streams whose size is bounded: no more is ever held. */

/**
 * Inflates a zlib stream.
 *
 * @param {Uint8Array} data the whole stream; bytes behind it are damage
 * @param {Uint8Array} target takes what comes out
 * @returns {Promise<{ size: number, end: "whole" | "more" | "damaged" }>} bytes that came out, and
 *   whether that is all: there may be more than the target holds
 */
export async function inflateInto(data, target) {
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  // What is wrong with the data shows on the reading side.
  writer.write(/** @type {BufferSource} */ (data)).catch(() => {});
  writer.close().catch(() => {});
  const reader = stream.readable.getReader();
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { size, end: "whole" };
      if (size + value.length > target.length) {
        await reader.cancel();
        return { size, end: "more" };
      }
      target.set(value, size);
      size += value.length;
    }
  } catch {
    return { size, end: "damaged" };
  }
}
