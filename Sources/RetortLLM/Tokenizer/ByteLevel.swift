/// GPT-2's mapping of bytes to printable characters, in which vocabularies are written.
enum ByteLevel {
    private static let characters: [Unicode.Scalar] = {
        var next: UInt32 = 256
        return (0..<256).map { byte in
            let isPrintable = (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
            if isPrintable { return Unicode.Scalar(UInt8(byte)) }
            defer { next += 1 }
            return Unicode.Scalar(next) ?? "?"
        }
    }()

    private static let bytes = Dictionary(
        characters.enumerated().map { ($1, UInt8($0)) }, uniquingKeysWith: { first, _ in first })

    static func encode(_ text: String) -> String {
        var mapped = String.UnicodeScalarView()
        for byte in text.utf8 { mapped.append(characters[Int(byte)]) }
        return String(mapped)
    }

    static func decode(_ mapped: String) -> [UInt8] { mapped.unicodeScalars.compactMap { bytes[$0] } }
}
