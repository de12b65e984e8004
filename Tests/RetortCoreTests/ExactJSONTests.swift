import Foundation
import RetortCore
import Testing

@Suite("Exact JSON")
struct ExactJSONTests {
    @Test(
        "each value keeps its type, by itself and in a record",
        arguments: [
            .null, true, false, 0, 1, -7, .integer(.max), .integer(.min), 2.0, -0.5, 1e300, 1e15,
            .number(.leastNonzeroMagnitude),
            .number(-0.0), .number(.infinity), .number(-.infinity), "", "2.0", "null",
            "a\r\n\t\"\\/\u{1F}\u{2028} 🧪 e\u{301}",
            "nul \0 end", ["$exact": "2.0"], ["$float": "nan"], ["$float": ["$float": "inf"]], ["$float": 1],
            ["$int": "9"],
            ["$int": "-123456789012345678901"], [], [:], [1, 1.0, "1", nil, [1.0]], ["a": 1.0, "b": ["c": nil]],
        ] as [JSONValue])
    func roundTrip(value: JSONValue) throws {
        #expect(try ExactJSON.value(of: ExactJSON.text(value)) == value)
        let call = ToolCall(name: "f", arguments: ["x": value], result: value)
        #expect(try ExactJSON.decode(ToolCall.self, from: ExactJSON.encode(call)) == call)
    }

    @Test("not a number stays a number")
    func notANumber() throws {
        guard case .number(let number) = try ExactJSON.value(of: ExactJSON.text(.number(.nan))) else {
            Issue.record("it is no number any more")
            return
        }
        #expect(number.isNaN)
    }

    @Test(
        "texts are Python's",
        arguments: [
            (2.0, "2.0"), (2, "2"), (["$int": "18446744073709551616"], "18446744073709551616"),
            (["b": 1, "a": ["x", nil]], #"{"a":["x",null],"b":1}"#), ("a/\u{8}", #""a/\u0008""#),
        ] as [(JSONValue, String)])
    func texts(value: JSONValue, text: String) throws {
        #expect(ExactJSON.text(value) == text)
        #expect(try ExactJSON.value(of: text) == value)
    }

    @Test(
        "what is read besides: Python's own words, spaces, escapes, the last of two members",
        arguments: [
            ("[Infinity, -Infinity]", [.number(.infinity), .number(-.infinity)]), (" [1 ,\t2.50]\r\n", [1, 2.5]),
            (#""\ud83e\uddea\u00e9""#, "🧪é"), (#"{"a":1,"a":2}"#, ["a": 2]), ("-0", 0), ("1E2", 100.0),
        ] as [(String, JSONValue)])
    func reading(text: String, value: JSONValue) throws {
        #expect(try ExactJSON.value(of: text) == value)
    }

    @Test(
        "what is not JSON is refused with the place",
        arguments: [
            "", "{", "[1,]", "01", "1.", "1e", "-", "+1", "nul", "\"a", "\"\n\"", "[1] 2", "'a'", "{a:1}", "\"\\x\"",
            String(repeating: "[", count: 300),
        ])
    func malformed(text: String) {
        #expect(throws: ExactJSONError.self) { try ExactJSON.value(of: text) }
    }

    @Test("names that differ in their Unicode form only would become one, and are refused")
    func alike() {
        #expect(throws: ExactJSONError.alike("é")) { try ExactJSON.value(of: "{\"\u{E9}\":1,\"e\u{301}\":2}") }
    }

    private struct Record: Codable, Equatable {
        var seed: UInt64
        var seconds: Double
        var small: [Int8]
        var maybe: String?
        var nested: [String: [Double?]]
        var outcome: Observation.Outcome
    }

    @Test("typed records, with the ends of their ranges")
    func records() throws {
        let record = Record(
            seed: .max, seconds: 2, small: [.min, .max], maybe: nil, nested: ["a": [nil, 1]],
            outcome: .executionError(type: "E", message: "m"))
        #expect(try ExactJSON.decode(Record.self, from: ExactJSON.encode(record)) == record)
        // As others write it: a whole number for a fraction, a null for nothing.
        let other = #"{"seed":1,"seconds":2,"small":[],"maybe":null,"nested":{},"outcome":{"success":{}}}"#
        #expect(try ExactJSON.decode(Record.self, from: Data(other.utf8)).seconds == 2)
    }

    @Test("a member of another type or a missing one is named", arguments: [("{}", "seed"), (#"{"seed":-1}"#, "seed")])
    func errors(text: String, name: String) {
        let error = #expect(throws: DecodingError.self) { try ExactJSON.decode(Record.self, from: Data(text.utf8)) }
        #expect(error.map { "\($0)".contains(name) } == true)
    }
}
