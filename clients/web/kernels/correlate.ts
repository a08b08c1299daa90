// The inner loops of a correlation, in 128-bit SIMD: AssemblyScript, compiled to WebAssembly.
//
// One call computes `rows` x `columns` positions of an output. Position (i, j) is, for every output
// channel, its bias plus the products of `segments` runs of `depth` neighbouring inputs, the first at
// `a + i * aRow + j * aColumn`, each `aSegment` bytes behind the one before. The kernel is packed in
// panels, [panel][segment][depth][lanes], with zeros for channels that are not there; so is the bias.
// Results are stored in whole panels at `c + i * cRow + j * cColumn + panel`.
// All strides are in bytes. Nothing is allocated: whoever calls owns the memory.

/** float32, panels of 8 channels, 4 positions at a time. */
export function correlate32(
  a: usize, aRow: usize, aColumn: usize, segments: i32, aSegment: usize, depth: i32,
  b: usize, bias: usize, panels: i32,
  c: usize, cRow: usize, cColumn: usize, rows: i32, columns: i32,
): void {
  const panelBytes = <usize>segments * depth * 32;
  for (let i = 0; i < rows; i++) {
    for (let panel = 0; panel < panels; panel++) {
      const kernel = b + <usize>panel * panelBytes;
      const low = v128.load(bias + panel * 32), high = v128.load(bias + panel * 32, 16);
      for (let j = 0; j < columns; j += 4) {
        // Beyond the last column the last one is computed again, and not stored.
        const last = columns - 1;
        const p0 = a + <usize>i * aRow + <usize>j * aColumn;
        const p1 = a + <usize>i * aRow + <usize>min(j + 1, last) * aColumn;
        const p2 = a + <usize>i * aRow + <usize>min(j + 2, last) * aColumn;
        const p3 = a + <usize>i * aRow + <usize>min(j + 3, last) * aColumn;
        let s0 = low, s1 = low, s2 = low, s3 = low;
        let t0 = high, t1 = high, t2 = high, t3 = high;
        let k = kernel;
        for (let s = 0; s < segments; s++) {
          let offset = <usize>s * aSegment;
          const end = offset + <usize>depth * 4;
          for (; offset < end; offset += 4) {
            const k0 = v128.load(k), k1 = v128.load(k, 16);
            k += 32;
            let x = v128.load32_splat(p0 + offset);
            s0 = add32(s0, x, k0); t0 = add32(t0, x, k1);
            x = v128.load32_splat(p1 + offset);
            s1 = add32(s1, x, k0); t1 = add32(t1, x, k1);
            x = v128.load32_splat(p2 + offset);
            s2 = add32(s2, x, k0); t2 = add32(t2, x, k1);
            x = v128.load32_splat(p3 + offset);
            s3 = add32(s3, x, k0); t3 = add32(t3, x, k1);
          }
        }
        let out = c + <usize>i * cRow + <usize>j * cColumn + panel * 32;
        v128.store(out, s0); v128.store(out, t0, 16);
        if (j + 1 < columns) { out += cColumn; v128.store(out, s1); v128.store(out, t1, 16); }
        if (j + 2 < columns) { out += cColumn; v128.store(out, s2); v128.store(out, t2, 16); }
        if (j + 3 < columns) { out += cColumn; v128.store(out, s3); v128.store(out, t3, 16); }
      }
    }
  }
}

// @ts-ignore: a decorator of AssemblyScript
@inline
function add32(sum: v128, x: v128, k: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, k, sum);
  return f32x4.add(sum, f32x4.mul(x, k));
}

/** float64, panels of 4 channels, 4 positions at a time. */
export function correlate64(
  a: usize, aRow: usize, aColumn: usize, segments: i32, aSegment: usize, depth: i32,
  b: usize, bias: usize, panels: i32,
  c: usize, cRow: usize, cColumn: usize, rows: i32, columns: i32,
): void {
  const panelBytes = <usize>segments * depth * 32;
  for (let i = 0; i < rows; i++) {
    for (let panel = 0; panel < panels; panel++) {
      const kernel = b + <usize>panel * panelBytes;
      const low = v128.load(bias + panel * 32), high = v128.load(bias + panel * 32, 16);
      for (let j = 0; j < columns; j += 4) {
        const last = columns - 1;
        const p0 = a + <usize>i * aRow + <usize>j * aColumn;
        const p1 = a + <usize>i * aRow + <usize>min(j + 1, last) * aColumn;
        const p2 = a + <usize>i * aRow + <usize>min(j + 2, last) * aColumn;
        const p3 = a + <usize>i * aRow + <usize>min(j + 3, last) * aColumn;
        let s0 = low, s1 = low, s2 = low, s3 = low;
        let t0 = high, t1 = high, t2 = high, t3 = high;
        let k = kernel;
        for (let s = 0; s < segments; s++) {
          let offset = <usize>s * aSegment;
          const end = offset + <usize>depth * 8;
          for (; offset < end; offset += 8) {
            const k0 = v128.load(k), k1 = v128.load(k, 16);
            k += 32;
            let x = v128.load64_splat(p0 + offset);
            s0 = f64x2.add(s0, f64x2.mul(x, k0)); t0 = f64x2.add(t0, f64x2.mul(x, k1));
            x = v128.load64_splat(p1 + offset);
            s1 = f64x2.add(s1, f64x2.mul(x, k0)); t1 = f64x2.add(t1, f64x2.mul(x, k1));
            x = v128.load64_splat(p2 + offset);
            s2 = f64x2.add(s2, f64x2.mul(x, k0)); t2 = f64x2.add(t2, f64x2.mul(x, k1));
            x = v128.load64_splat(p3 + offset);
            s3 = f64x2.add(s3, f64x2.mul(x, k0)); t3 = f64x2.add(t3, f64x2.mul(x, k1));
          }
        }
        let out = c + <usize>i * cRow + <usize>j * cColumn + panel * 32;
        v128.store(out, s0); v128.store(out, t0, 16);
        if (j + 1 < columns) { out += cColumn; v128.store(out, s1); v128.store(out, t1, 16); }
        if (j + 2 < columns) { out += cColumn; v128.store(out, s2); v128.store(out, t2, 16); }
        if (j + 3 < columns) { out += cColumn; v128.store(out, s3); v128.store(out, t3, 16); }
      }
    }
  }
}
