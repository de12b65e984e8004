import Foundation
import RetortCore
import Testing

@Suite("JSON")
struct JSONTests {
    @Test(
        "a value comes back as it was",
        arguments: [
            .null, true, 1, -7, 0.5, "text", ["a", 1, nil], ["k": ["n": 1.25]], ["$int": "123456789012345678901"],
        ] as [JSONValue])
    func roundTrip(value: JSONValue) throws {
        #expect(try JSONCoding.decoder.decode(JSONValue.self, from: JSONCoding.encoder.encode(value)) == value)
    }

    @Test("a malformed line is named by its number")
    func malformedLine() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).jsonl")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("{\"a\":1}\n\n{oops\n".utf8).write(to: file)
        let error = #expect(throws: JSONLinesError.self) { try JSONLinesFile(file).read([String: Int].self).records }
        #expect(error == .malformed(file: file.path, line: 3, reason: "it is not valid JSON"))
    }

    @Test("the same seed draws the same numbers on every platform")
    func generator() {
        var generator = SeededGenerator(seed: 1)
        #expect(generator.next() == 0x910A_2DEC_8902_5CC1)
        #expect(StableHash.of("a") == 0xAF63_DC4C_8601_EC8C)
    }
}

extension JSONValue: ExpressibleByNilLiteral {
    /// `nil` in a test's literal is JSON's `null`.
    public init(nilLiteral: ()) { self = .null }
}
