/// GPT-2's mapping of bytes to printable characters, which byte-level vocabularies are written in.
enum ByteLevel {
    private static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 256
        return (0..<256).map { byte in
            let isPrintable = (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
            if isPrintable { return Unicode.Scalar(UInt8(byte)) }
            defer { next += 1 }
            return Unicode.Scalar(next) ?? "?"
        }
    }()

    private static let characters = scalars.map { Array(String($0).utf8) }
    private static let bytes = Dictionary(uniqueKeysWithValues: scalars.enumerated().map { ($1, UInt8($0)) })

    /// The characters of bytes, as UTF-8.
    static func encode(_ text: some Sequence<UInt8>) -> [UInt8] { text.flatMap { characters[Int($0)] } }

    /// The bytes of mapped characters; nil when one of them is not in the mapping.
    static func decode(_ mapped: [UInt8]) -> [UInt8]? {
        var decoded: [UInt8] = []
        for scalar in String(decoding: mapped, as: UTF8.self).unicodeScalars {
            guard let byte = bytes[scalar] else { return nil }
            decoded.append(byte)
        }
        return decoded
    }
}
