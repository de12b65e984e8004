import Foundation

/// Decodes ggml's blocks into numbers, bit for bit as the Python package `gguf` does (`gguf/quants.py`): scales are
/// products in float32, and offsets are added last.
enum GGUFBlocks {
    /// The numbers in whole blocks.
    /// - Parameter bytes: a multiple of the storage's block size.
    static func floats(_ bytes: UnsafeRawBufferPointer, _ storage: GGUFStorage) -> [Float] {
        let (numbers, size) = storage.block
        let blocks = bytes.count / size
        guard blocks > 0, let start = bytes.bindMemory(to: UInt8.self).baseAddress else { return [] }
        let unpack = unpacker(storage)
        return [Float](unsafeUninitializedCapacity: blocks * numbers) { buffer, count in
            count = blocks * numbers
            guard let out = buffer.baseAddress else { return }
            for block in 0..<blocks { unpack(start + block * size, out + block * numbers) }
        }
    }

    private typealias Bytes = UnsafePointer<UInt8>
    private typealias Numbers = UnsafeMutablePointer<Float>

    private static func unpacker(_ storage: GGUFStorage) -> (Bytes, Numbers) -> Void {
        switch storage {
        case .float32: { $1[0] = Float(bitPattern: word($0)) }
        case .float16: { $1[0] = half($0) }
        case .bfloat16: { $1[0] = Float(bitPattern: UInt32(short($0)) << 16) }
        case .q4_0: q4_0
        case .q4_1: q4_1
        case .q5_0: q5_0
        case .q5_1: q5_1
        case .q8_0: q8_0
        case .q2_K: q2_K
        case .q3_K: q3_K
        case .q4_K: q4_K
        case .q5_K: q5_K
        case .q6_K: q6_K
        case .iq4_NL: iq4_NL
        case .iq4_XS: iq4_XS
        }
    }

    // MARK: Numbers of more than a byte

    private static func short(_ b: Bytes) -> UInt16 { UInt16(b[0]) | UInt16(b[1]) << 8 }

    private static func word(_ b: Bytes) -> UInt32 { UInt32(short(b)) | UInt32(short(b + 2)) << 16 }

    /// A half-precision number, which single precision represents exactly.
    private static func half(_ b: Bytes) -> Float {
        let bits = UInt32(short(b))
        let (sign, exponent, fraction) = ((bits & 0x8000) << 16, bits >> 10 & 31, bits & 0x3FF)
        switch exponent {
        case 0: return Float(bitPattern: sign | (Float(fraction) * 0x1p-24).bitPattern)
        case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
        default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }

    // MARK: Blocks of 32

    /// A scale, then 16 bytes of two numbers each.
    private static func q4_0(_ b: Bytes, _ y: Numbers) {
        let d = half(b)
        for i in 0..<16 {
            y[i] = d * Float(Int(b[2 + i] & 15) - 8)
            y[i + 16] = d * Float(Int(b[2 + i] >> 4) - 8)
        }
    }

    /// A scale, a minimum, then 16 bytes.
    private static func q4_1(_ b: Bytes, _ y: Numbers) {
        let (d, m) = (half(b), half(b + 2))
        for i in 0..<16 {
            y[i] = d * Float(b[4 + i] & 15) + m
            y[i + 16] = d * Float(b[4 + i] >> 4) + m
        }
    }

    /// A scale, the fifth bits, then 16 bytes.
    private static func q5_0(_ b: Bytes, _ y: Numbers) {
        let (d, high) = (half(b), word(b + 2))
        for i in 0..<16 {
            y[i] = d * Float(Int(b[6 + i] & 15) + Int(high >> UInt32(i) & 1) * 16 - 16)
            y[i + 16] = d * Float(Int(b[6 + i] >> 4) + Int(high >> UInt32(i + 16) & 1) * 16 - 16)
        }
    }

    /// A scale, a minimum, the fifth bits, then 16 bytes.
    private static func q5_1(_ b: Bytes, _ y: Numbers) {
        let (d, m, high) = (half(b), half(b + 2), word(b + 4))
        for i in 0..<16 {
            y[i] = d * Float(Int(b[8 + i] & 15) + Int(high >> UInt32(i) & 1) * 16) + m
            y[i + 16] = d * Float(Int(b[8 + i] >> 4) + Int(high >> UInt32(i + 16) & 1) * 16) + m
        }
    }

    private static func q8_0(_ b: Bytes, _ y: Numbers) {
        let d = half(b)
        for i in 0..<32 { y[i] = Float(Int8(bitPattern: b[2 + i])) * d }
    }

    /// The sixteen numbers that four bits select.
    private static let levels: [Float] = [
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
    ]

    private static func iq4_NL(_ b: Bytes, _ y: Numbers) {
        let d = half(b)
        for i in 0..<16 {
            y[i] = d * levels[Int(b[2 + i] & 15)]
            y[i + 16] = d * levels[Int(b[2 + i] >> 4)]
        }
    }

    // MARK: Blocks of 256

    /// 16 bytes with a scale and a minimum for 16 numbers each, 64 bytes of four numbers each, and the factors of
    /// scales and minima.
    private static func q2_K(_ b: Bytes, _ y: Numbers) {
        let (quarters, d, least) = (b + 16, half(b + 80), half(b + 82))
        for group in 0..<16 {
            let (scale, minimum) = (d * Float(b[group] & 15), least * Float(b[group] >> 4))
            for i in group * 16..<group * 16 + 16 { y[i] = scale * Float(quarter(quarters, i)) - minimum }
        }
    }

    /// The two bits of number `i`: each 32 bytes hold 128 numbers.
    private static func quarter(_ b: Bytes, _ i: Int) -> Int { Int(b[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) }

    /// The third bits, 64 bytes of the lower two, and 16 scales of six bits each.
    private static func q3_K(_ b: Bytes, _ y: Numbers) {
        let (quarters, scales, d) = (b + 32, b + 96, half(b + 108))
        for group in 0..<16 {
            let low = Int(scales[group % 8] >> (group / 8 * 4) & 15)
            let high = Int(scales[8 + group % 4] >> (group / 4 * 2) & 3)
            let scale = d * Float((low | high << 4) - 32)
            for i in group * 16..<group * 16 + 16 {
                // A set bit contributes nothing.
                let third = Int(b[i % 32] >> (i / 32) & 1 ^ 1)
                y[i] = scale * Float(quarter(quarters, i) - third * 4)
            }
        }
    }

    /// The scale and the minimum of 32 numbers, six bits each, from twelve bytes.
    private static func scale(_ b: Bytes, _ group: Int) -> (scale: UInt8, minimum: UInt8) {
        guard group >= 4 else { return (b[group] & 63, b[group + 4] & 63) }
        let rest = b[group + 4]
        return (rest & 15 | b[group - 4] >> 2 & 0x30, rest >> 4 | b[group] >> 2 & 0x30)
    }

    private static func q4_K(_ b: Bytes, _ y: Numbers) {
        let (d, least, numbers) = (half(b), half(b + 2), b + 16)
        for group in 0..<8 {
            let own = scale(b + 4, group)
            let (scale, minimum) = (d * Float(own.scale), least * Float(own.minimum))
            for i in 0..<32 {
                y[group * 32 + i] = scale * Float(numbers[group / 2 * 32 + i] >> (group % 2 * 4) & 15) - minimum
            }
        }
    }

    private static func q5_K(_ b: Bytes, _ y: Numbers) {
        let (d, least, high, numbers) = (half(b), half(b + 2), b + 16, b + 48)
        for group in 0..<8 {
            let own = scale(b + 4, group)
            let (scale, minimum) = (d * Float(own.scale), least * Float(own.minimum))
            for i in 0..<32 {
                let low = numbers[group / 2 * 32 + i] >> (group % 2 * 4) & 15
                y[group * 32 + i] = scale * Float(low | (high[i] >> group & 1) << 4) - minimum
            }
        }
    }

    /// 128 bytes of the low four bits, 64 of the high two, and 16 signed scales.
    private static func q6_K(_ b: Bytes, _ y: Numbers) {
        let (high, scales, d) = (b + 128, b + 192, half(b + 208))
        for group in 0..<16 {
            let scale = d * Float(Int8(bitPattern: scales[group]))
            for i in group * 16..<group * 16 + 16 {
                let low = Int(b[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15)
                y[i] = scale * Float((low | quarter(high, i) << 4) - 32)
            }
        }
    }

    private static func iq4_XS(_ b: Bytes, _ y: Numbers) {
        let (d, high, numbers) = (half(b), short(b + 2), b + 8)
        for group in 0..<8 {
            let low = Int(b[4 + group / 2] >> (group % 2 * 4) & 15)
            let scale = d * Float((low | Int(high >> UInt16(group * 2) & 3) << 4) - 32)
            for i in 0..<16 {
                y[group * 32 + i] = scale * levels[Int(numbers[group * 16 + i] & 15)]
                y[group * 32 + i + 16] = scale * levels[Int(numbers[group * 16 + i] >> 4)]
            }
        }
    }
}
