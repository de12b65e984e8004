import Foundation
import RetortCore
import Testing

private func accepts(_ grammar: OutputGrammar, _ text: String) throws -> Bool {
    var matcher = try GrammarMatcher(grammar)
    return matcher.advance(text.utf8) && matcher.isComplete
}

private func schema(_ text: String) throws -> JSONSchema {
    try JSONSchema(JSONCoding.decoder.decode(JSONValue.self, from: Data(text.utf8)))
}

/// A text of a grammar, byte by byte at random, ending where it may with some probability.
private func randomText(_ grammar: OutputGrammar, _ generator: inout SeededGenerator) throws -> [UInt8]? {
    var matcher = try GrammarMatcher(grammar)
    var bytes: [UInt8] = []
    while bytes.count < 4000 {
        if matcher.isExhausted || (matcher.isComplete && Int.random(in: 0..<4, using: &generator) == 0) { return bytes }
        let allowed = (UInt8.min...UInt8.max).filter { byte in
            var copy = matcher
            return copy.advance(byte)
        }
        guard
            let byte = allowed.first(where: { [0x22, 0x5D, 0x7D].contains($0) && Bool.random(using: &generator) })
                ?? allowed.randomElement(using: &generator)
        else {
            if matcher.isComplete { return bytes }
            Issue.record("no way on behind \(String(decoding: bytes, as: UTF8.self))")
            return nil
        }
        _ = matcher.advance(byte)
        bytes.append(byte)
    }
    return nil
}

private func isPossible(_ grammar: OutputGrammar) -> Bool { (try? grammar.check()) != nil }

@Suite("Output grammars")
struct GrammarTests {
    @Test("free text ends with its first ending, which says what follows")
    func prose() throws {
        let grammar = OutputGrammar.prose(
            limit: 20, endings: [.init("Next: a."), .init("Do: ", next: .oneOf([.text("x"), .text("yy")]))])
        #expect(try accepts(grammar, "I think. Next: a."))
        #expect(try accepts(grammar, "Next: a."))
        #expect(try accepts(grammar, "NNext: a."))
        #expect(try accepts(grammar, "Do: yy"))
        #expect(try !accepts(grammar, "I think."))
        #expect(try !accepts(grammar, "Next: a. More"))
        #expect(try !accepts(grammar, "Do: z"))
        #expect(try accepts(grammar, String(repeating: "w", count: 20) + "Do: x"))
        #expect(try accepts(grammar, String(repeating: "w", count: 15) + "Next: a."))
        #expect(try !accepts(grammar, String(repeating: "w", count: 21) + "Do: x"))
        #expect(try !accepts(grammar, String(repeating: "w", count: 20) + "NNext: a."))
        #expect(try !accepts(.anything(limit: 5), "  "))
        #expect(try accepts(.anything(limit: 5), " a"))
        #expect(try !accepts(.anything(limit: 5), "abcdef"))
    }

    @Test("a text that is told to close comes to its end by what must be there alone")
    func closing() throws {
        let object = OutputGrammar.json(
            try schema(
                #"{"type":"object","properties":{"city":{"type":"string"},"day":{"type":"integer","minimum":1}},"required":["city"]}"#
            ))
        let grammar = OutputGrammar.prose(limit: 500, endings: [.init("Do: ", next: object), .init("Next: a.")])
        func ends(_ start: String, _ rest: String) throws -> Bool {
            var matcher = try GrammarMatcher(grammar)
            for byte in start.utf8 { _ = matcher.advance(byte) }
            matcher.close()
            for byte in rest.utf8 where !matcher.advance(byte) { return false }
            return matcher.isComplete
        }
        #expect(try ends("I thi", "Next: a."))
        #expect(try ends("I think. Ne", "xt: a."))
        #expect(try !ends("I thi", "nk. Next: a."))
        #expect(try ends("Do: {\"city\":\"Ta", "\"}"))
        #expect(try !ends("Do: {\"city\":\"Ta", "rn\"}"))
        #expect(try !ends("Do: {\"city\":\"Ta", "\",\"day\":3}"))
        #expect(try ends("Do: {\"city\":\"Ta\",\"da", "y\":3}"))
        #expect(try ends("So. ", "Do: {\"city\":\"\"}"))
    }

    @Test(
        "numbers stay within their bounds at every digit",
        arguments: [
            (
                #"{"type":"integer","minimum":1,"maximum":31}"#, ["1", "9", "10", "31"],
                ["0", "32", "310", "-1", "01", "1.0"]
            ),
            (#"{"type":"integer","minimum":1000,"maximum":9999}"#, ["1000", "9999"], ["999", "10000", "0"]),
            (#"{"type":"integer","minimum":-12,"maximum":-3}"#, ["-3", "-12", "-10"], ["-2", "-13", "3", "-0"]),
            (
                #"{"type":"number","minimum":0.25,"maximum":1.5}"#, ["0.25", "1.5", "1", "0.3"],
                ["0.2", "2", "1.51", "0"]
            ),
            (#"{"type":"number"}"#, ["0", "-1.25", "17"], ["-0", ".5", "1."]),
            (#"{"type":"number","minimum":0.3,"maximum":0.3}"#, ["0.3", "0.30"], ["0.31", "0", "0.2"]),
            (
                #"{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}"#, ["0.5", "0.000001"],
                ["0", "0.0", "1", "-0.5"]
            ),
            (#"{"type":"number","exclusiveMinimum":0,"maximum":1e-9}"#, ["0.000000001"], ["0.00000001", "0"]),
            (#"{"type":"number","exclusiveMaximum":-0.1}"#, ["-0.2", "-5"], ["-0.1", "0", "-0.05"]),
            (#"{"type":"integer","exclusiveMinimum":2,"exclusiveMaximum":4}"#, ["3"], ["2", "4", "30"]),
            (#"{"type":"integer","minimum":9007199254740993}"#, ["9007199254740993"], ["9007199254740992"]),
            (#"{"type":"integer","minimum":-1,"maximum":0}"#, ["-1", "0"], ["-0", "1", "-10"]),
        ])
    func numbers(text: String, good: [String], bad: [String]) throws {
        let grammar = OutputGrammar.json(try schema(text))
        for number in good { #expect(try accepts(grammar, number), "\(number)") }
        for number in bad { #expect(try !accepts(grammar, number), "\(number)") }
    }

    @Test("objects have their members in any order, with blanks or without, and no others")
    func objects() throws {
        let grammar = OutputGrammar.json(
            try schema(
                #"{"type":"object","properties":{"city":{"type":"string","maxLength":6},"day":{"type":"integer"}},"required":["city"],"additionalProperties":false}"#
            ))
        for good in [
            #"{"city":"Tarn"}"#, #"{"day":3,"city":"Tarn"}"#, "{\n  \"city\": \"Tärn\", \"day\": 3\n}", #"{"city":""}"#,
            #"{"city":"a\"b\\\u00e9"}"#,
        ] { #expect(try accepts(grammar, good), "\(good)") }
        for bad in [
            #"{}"#, #"{"day":3}"#, #"{"city":3}"#, #"{"city":"Tarn","city":"Tarn"}"#, #"{"city":"Tarn","x":1}"#,
            #"{"city":"toolong"}"#, #"{"city":"Tarn",}"#, #"{"city":"\ud800"}"#, "{\"city\":\"a\nb\"}",
        ] { #expect(try !accepts(grammar, bad), "\(bad)") }
    }

    @Test("whatever can be written is valid JSON and valid against the schema", arguments: ["schemas", "pydantic"])
    func soundness(fixture: String) throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/\(fixture).jsonl")
        var generator = SeededGenerator(seed: 1)
        var (written, impossible) = (0, 0)
        let schemas = Set(try JSONLinesFile(file).read(JSONValue.self).records.map { $0["schema"] ?? [:] })
        for json in schemas.sorted(by: { $0.jsonText < $1.jsonText }).prefix(120) {
            let schema = try JSONSchema(json)
            guard isPossible(.json(schema)) else {
                impossible += 1
                continue
            }
            for _ in 0..<3 {
                // What grows too long is given up.
                guard let bytes = try randomText(.json(schema), &generator) else { continue }
                written += 1
                let text = try #require(String(validating: bytes, as: UTF8.self))
                let value = try ExactJSON.value(of: text)
                #expect(schema.fault(in: value) == nil, "\(text) \(json.jsonText)")
            }
        }
        #expect(written > 60)
        #expect(impossible < 8)
    }

    @Test(
        "elements that can be read in several ways are read in one state, however many there are",
        arguments: [
            #"{"type":"array","items":{"type":["integer","number"]},"minItems":30,"maxItems":400}"#,
            #"{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"string","maxLength":4},{"enum":["1","2"]}]},"minItems":30,"maxItems":400}"#,
            ##"{"$defs":{"n":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/n"}},{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"integer"}]}},{"type":"number"},{"type":"string"}]}},"type":"array","items":{"$ref":"#/$defs/n"},"minItems":30,"maxItems":400}"##,
        ])
    func alternatives(text: String) throws {
        let isText = text.contains("enum")
        func states(_ count: Int) throws -> Int {
            let automaton = try GrammarAutomaton(.json(schema(text)))
            let list = "[" + Array(repeating: isText ? "\"1\"" : "12", count: count).joined(separator: ", ") + "]"
            let end = try #require(automaton.state(after: automaton.start, list.utf8, isClosing: false))
            #expect(automaton.isComplete(end, isClosing: false))
            return automaton.stateCount
        }
        let (few, many) = (try states(100), try states(400))
        #expect(many < 5 * few)
        #expect(many < 400 * 300)
    }

    @Test("a schema that means itself is written and comes to its end when it must")
    func recursion() throws {
        let grammar = OutputGrammar.json(
            try schema(
                ##"{"$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}},"$ref":"#/$defs/n"}"##
            ))
        #expect(try accepts(grammar, #"{"v":1,"next":{"next":{"v":3,"next":null},"v":2}}"#))
        #expect(try !accepts(grammar, #"{"v":1,"next":{"v":2}}"#))
        var matcher = try GrammarMatcher(grammar)
        let opened = matcher.advance(#"{"v":1,"next":"#.utf8)
        #expect(opened)
        matcher.close()
        var copy = matcher
        let (deeper, ended) = (copy.advance("{".utf8), matcher.advance("null}".utf8))
        #expect(!deeper && ended && matcher.isExhausted)
        // Without end it would go on for ever.
        #expect(throws: GrammarError.unsatisfiable) {
            try OutputGrammar.json(
                schema(
                    ##"{"$defs":{"n":{"type":"object","properties":{"next":{"$ref":"#/$defs/n"}},"required":["next"]}},"$ref":"#/$defs/n"}"##
                )
            ).check()
        }
    }

    @Test(
        "a grammar that allows nothing is refused",
        arguments: [
            #"{"enum":[]}"#, "false", #"{"type":"object","properties":{"a":false},"required":["a"]}"#,
            #"{"type":"object","required":["a"],"additionalProperties":false}"#,
            #"{"type":"integer","minimum":3,"maximum":2}"#,
            #"{"type":"number","exclusiveMinimum":1,"maximum":1}"#, #"{"type":"string","minLength":3,"maxLength":2}"#,
            #"{"type":"array","minItems":2,"maxItems":1}"#, #"{"type":"array","items":false,"minItems":1}"#,
            #"{"type":"string","pattern":"^a$","minLength":2}"#, #"{"allOf":[{"type":"string"},{"type":"integer"}]}"#,
            #"{"type":"string","enum":[1]}"#, #"{"type":"number","minimum":1e300}"#,
        ])
    func impossible(text: String) throws {
        #expect(throws: GrammarError.unsatisfiable) { try OutputGrammar.json(schema(text)).check() }
    }

    @Test("what may be left out of an object may be impossible")
    func possible() throws {
        let grammar = OutputGrammar.json(
            try schema(#"{"type":"object","properties":{"a":{"enum":[]},"b":{"anyOf":[false,{"const":1}]}}}"#))
        #expect(try accepts(grammar, #"{"b":1}"#))
        #expect(try accepts(grammar, "{}"))
        #expect(try !accepts(grammar, #"{"a":1}"#))
    }

    @Test(
        "texts keep to patterns, formats and lengths at every byte",
        arguments: [
            (
                #"{"type":"string","pattern":"^[A-Z][a-z]+(-[0-9]{2})?$"}"#, ["Ab", "Abc-12"],
                ["A", "ab", "Ab-1", "Ab-123"]
            ),
            (#"{"type":"string","pattern":"é|𝄞","maxLength":2}"#, ["é", "aé", "𝄞b"], ["", "a", "aaé", "ee"]),
            (#"{"type":"string","pattern":"^\"\\\\\\n$"}"#, [#"\"\\\n"#], [#"\"\\n"#, #"\u0022\\\n"#]),
            (#"{"type":"string","pattern":"^(ab)*$","minLength":3,"maxLength":5}"#, ["abab"], ["ab", "ababab", "aba"]),
            (#"{"type":"string","format":"date"}"#, ["2024-02-29"], ["2023-02-29", "24-1-1"]),
            (#"{"type":"string","minLength":2}"#, ["ab", "éé"], ["", "a", "é"]),
            (#"{"type":"string","minLength":300,"pattern":"x"}"#, [String(repeating: "x", count: 300)], ["x"]),
        ])
    func texts(text: String, good: [String], bad: [String]) throws {
        let grammar = OutputGrammar.json(try schema(text))
        for item in good { #expect(try accepts(grammar, "\"\(item)\""), "\(item)") }
        for item in bad { #expect(try !accepts(grammar, "\"\(item)\""), "\(item)") }
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<10 { #expect(try randomText(grammar, &generator) != nil) }
    }

    @Test("a pattern is closed by its shortest way")
    func closingPattern() throws {
        var matcher = try GrammarMatcher(
            .json(schema(#"{"type":"string","pattern":"^(ab|cdef)*x$"}"#)))
        let begun = matcher.advance("\"ab".utf8)
        matcher.close()
        var copy = matcher
        let (longer, closed) = (copy.advance("a".utf8), matcher.advance("x\"".utf8))
        #expect(begun && !longer && closed && matcher.isExhausted)
    }

    @Test("what is known of an automaton is bounded: a long text needs no more than a short one's room, and goes on")
    func bounded() throws {
        let automaton = try GrammarAutomaton(.anything(limit: 300_000))
        let text = String(repeating: "abcdefghij", count: 25_000)
        let state = try #require(automaton.state(after: automaton.start, text.utf8, isClosing: false))
        #expect(automaton.stateCount <= 100_000)
        #expect(automaton.isComplete(state, isClosing: false))
        #expect(automaton.state(after: state, String(repeating: "x", count: 50_001).utf8, isClosing: false) == nil)
    }

    @Test("a schema that is too large is refused before it is followed")
    func large() throws {
        let error = #expect(throws: GrammarError.self) {
            try OutputGrammar.json(schema(#"{"type":"string","pattern":"^[a-z]{1,100}$","maxLength":2000000}"#)).check()
        }
        guard case .tooLarge = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
