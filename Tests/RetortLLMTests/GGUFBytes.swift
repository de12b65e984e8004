import Foundation

/// A GGUF file made byte for byte, right or wrong.
struct GGUFBytes {
    /// A key, the number of its value's type, and the value.
    var keys: [(name: String, type: UInt32, value: Data)] = []
    /// A tensor: its extents outermost first, the number of its storage, and its data.
    var tensors: [(name: String, shape: [Int], storage: UInt32, data: Data)] = []
    var magic = Data("GGUF".utf8)
    var version = UInt32(3).littleEndian
    /// What the head says in the place of the true numbers.
    var tensorCount: UInt64?
    var keyCount: UInt64?
    /// What the table says in the place of the true offsets.
    var offsets: [Int: UInt64] = [:]

    init(keys: [(name: String, type: UInt32, value: Data)] = []) { self.keys = keys }

    static func little(_ number: some FixedWidthInteger) -> Data {
        withUnsafeBytes(of: number.littleEndian) { Data($0) }
    }

    static func string(_ text: String) -> Data { little(UInt64(text.utf8.count)) + Data(text.utf8) }

    var data: Data {
        var data = magic + Self.little(version) + Self.little(tensorCount ?? UInt64(tensors.count))
        data += Self.little(keyCount ?? UInt64(keys.count))
        for key in keys { data += Self.string(key.name) + Self.little(key.type) + key.value }
        var offset = 0
        for (index, tensor) in tensors.enumerated() {
            data += Self.string(tensor.name) + Self.little(UInt32(tensor.shape.count))
            for extent in tensor.shape.reversed() { data += Self.little(UInt64(extent)) }
            data += Self.little(tensor.storage) + Self.little(offsets[index] ?? UInt64(offset))
            offset += (tensor.data.count + 31) / 32 * 32
        }
        for tensor in tensors {
            data += Data(count: (32 - data.count % 32) % 32)
            data += tensor.data
        }
        return data
    }

    /// The keys of a file that Retort wrote, each as its bytes.
    static func keys(of file: Data) -> [(name: String, type: UInt32, value: Data)] {
        var position = 16
        func number<Number: FixedWidthInteger>(_ type: Number.Type, at place: Int) -> Number {
            file.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: place, as: type)) }
        }
        func size(_ type: UInt32, at place: Int) -> Int {
            switch type {
            case 0, 1, 7: return 1
            case 2, 3: return 2
            case 4, 5, 6: return 4
            case 8: return 8 + Int(number(UInt64.self, at: place))
            case 9:
                let (element, count) = (number(UInt32.self, at: place), Int(number(UInt64.self, at: place + 4)))
                var end = place + 12
                for _ in 0..<count { end += size(element, at: end) }
                return end - place
            default: return 8
            }
        }
        let count = Int(number(UInt64.self, at: position))
        position += 8
        return (0..<count).map { _ in
            let length = Int(number(UInt64.self, at: position))
            let name = String(decoding: file[position + 8..<position + 8 + length], as: UTF8.self)
            position += 8 + length
            let type = number(UInt32.self, at: position)
            let value = size(type, at: position + 4)
            defer { position += 4 + value }
            return (name, type, Data(file[position + 4..<position + 4 + value]))
        }
    }
}
