import Foundation
import RetortCore
import Testing

@Suite("JSON of strangers")
struct JSONDecoderTests {
    /// Foundation's decoder ends the process at the first of these.
    @Test(
        "a valid number is a value, whatever its form",
        arguments: [
            ("0." + String(repeating: "0", count: 130) + "1e147", .number(1e16)), ("1e400", .number(.infinity)),
            ("2.0", .number(2)), ("2", .integer(2)), ("1e2", .number(100)), ("-0.0", .number(-0.0)),
            ("123456789012345678901", ["$int": "123456789012345678901"]),
        ] as [(String, JSONValue)])
    func numbers(text: String, value: JSONValue) throws {
        #expect(try JSONCoding.decoder.decode(JSONValue.self, from: Data(text.utf8)) == value)
    }

    private struct Record: Codable, Equatable {
        var count: Int
        var share: Double?
        var made: Date?
        var page: URL?
    }

    @Test("dates and addresses come back, and a byte-order mark is passed over")
    func records() throws {
        let record = Record(
            count: 3, share: 2, made: Date(timeIntervalSince1970: 1_700_000_000),
            page: URL(string: "https://a.example/b"))
        let data = try JSONCoding.encoder.encode(record)
        #expect(try JSONCoding.decoder.decode(Record.self, from: data) == record)
        #expect(try JSONCoding.decoder.decode(Record.self, from: Data([0xEF, 0xBB, 0xBF]) + data) == record)
        #expect(try ExactJSON.decode(Record.self, from: ExactJSON.encode(record)) == record)
    }

    @Test("an object that looks like a mark stays an object", arguments: ["nan", "inf", "1"])
    func marks(name: String) throws {
        let value: JSONValue = ["$float": .string(name)]
        #expect(try JSONCoding.decoder.decode(JSONValue.self, from: JSONCoding.encoder.encode(value)) == value)
    }

    @Test(
        "what is no JSON, or another type, is a decoding error",
        arguments: ["", "{", "[1]", "{\"count\": \"x\"}", "\u{FEFF}"])
    func errors(text: String) {
        #expect(throws: DecodingError.self) { try JSONCoding.decoder.decode(Record.self, from: Data(text.utf8)) }
    }
}
