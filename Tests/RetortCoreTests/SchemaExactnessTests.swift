import RetortCore
import Testing

@Suite("Schemas to the bit and to the byte")
struct SchemaExactnessTests {
    private func schema(_ text: String) throws -> JSONSchema { try JSONSchema(ExactJSON.value(of: text)) }

    private func accepts(_ text: String, _ value: String) throws -> Bool {
        var matcher = try GrammarMatcher(.json(schema(text)))
        return matcher.advance(value.utf8) && matcher.isComplete
    }

    @Test(
        "counts beyond all texts are judged, not added up beyond 64 bits",
        arguments: [
            (
                #"{"oneOf":[{"type":"string","pattern":"^a*$","minLength":9223372036854774784},"#
                    + #"{"type":"string","pattern":"^b*$"}]}"#, false
            ),
            (#"{"type":"string","pattern":"a","minLength":9223372036854775807}"#, false),
            (#"{"type":"string","minLength":1e18,"maxLength":4}"#, false),
            (#"{"type":"array","prefixItems":[{}],"minItems":9223372036854775807,"maxItems":3}"#, false),
            (#"{"type":"string","maxLength":9007199254740991}"#, true),
            (#"{"type":"array","items":{"type":"null"},"maxItems":9223372036854775807}"#, true),
        ])
    func counts(text: String, isPossible: Bool) {
        #expect(((try? OutputGrammar.json(schema(text)).check()) != nil) == isPossible)
    }

    @Test(
        "bounds of whole numbers are exact wherever they stand",
        arguments: [
            #"{"type":"integer","exclusiveMinimum":9007199254740993,"maximum":9007199254740993}"#,
            #"{"type":"integer","exclusiveMaximum":-9223372036854775808}"#,
            #"{"type":"integer","exclusiveMinimum":9223372036854775807}"#,
            #"{"allOf":[{"type":"integer","exclusiveMinimum":9007199254740992},{"exclusiveMaximum":9007199254740993}]}"#,
            #"{"allOf":[{"type":"integer"},{"exclusiveMaximum":-9223372036854775808}]}"#,
        ])
    func emptyRanges(text: String) throws {
        #expect(throws: GrammarError.unsatisfiable) { try OutputGrammar.json(schema(text)).check() }
    }

    @Test(
        "the one number between two bounds is written and judged",
        arguments: [
            (#"{"type":"integer","minimum":9007199254740993,"maximum":9007199254740993}"#, 9_007_199_254_740_993),
            (
                #"{"allOf":[{"type":"integer"},{"minimum":9007199254740993,"maximum":9007199254740993}]}"#,
                9_007_199_254_740_993
            ),
            (
                #"{"allOf":[{"minimum":9007199254740993},{"type":"integer","exclusiveMaximum":9007199254740994}]}"#,
                9_007_199_254_740_993
            ),
            (
                #"{"type":"integer","exclusiveMinimum":-9223372036854775808,"maximum":-9223372036854775807}"#,
                -9_223_372_036_854_775_807
            ),
            (#"{"type":"integer","minimum":2.5,"exclusiveMaximum":3.5}"#, 3),
        ])
    func oneNumber(text: String, number: Int) throws {
        let read = try schema(text)
        #expect(read.fault(in: .integer(number)) == nil)
        #expect(read.fault(in: .integer(number - 1)) != nil && read.fault(in: .integer(number + 1)) != nil)
        #expect(try accepts(text, "\(number)") && !accepts(text, "\(number - 1)"))
        #expect(try JSONSchema(read.json) == read)
    }

    @Test("a number's bounds beyond 2⁵³ hold for whole numbers, too")
    func numbers() throws {
        let bound = try schema(#"{"type":"number","minimum":9007199254740993}"#)
        #expect(bound.fault(in: 9_007_199_254_740_992) != nil && bound.fault(in: 9_007_199_254_740_993) == nil)
        #expect(try JSONSchema(bound.json) == bound)
    }

    @Test("composed and decomposed letters are different texts")
    func spellings() throws {
        let (composed, decomposed) = ("\u{e9}", "e\u{301}")
        let constant = try schema(#"{"const":"\#(composed)"}"#)
        #expect(constant.fault(in: .string(composed)) == nil && constant.fault(in: .string(decomposed)) != nil)
        let nested = try schema(#"{"enum":[{"\#(composed)":["\#(composed)"]}]}"#)
        #expect(nested.fault(in: .object([composed: [.string(composed)]])) == nil)
        #expect(nested.fault(in: .object([decomposed: [.string(composed)]])) != nil)
        #expect(nested.fault(in: .object([composed: [.string(decomposed)]])) != nil)
        let member = try schema(#"{"properties":{"\#(composed)":{}},"additionalProperties":false,"type":"object"}"#)
        #expect(member.fault(in: .object([composed: 1])) == nil && member.fault(in: .object([decomposed: 1])) != nil)
        let needed = try schema(#"{"type":"object","required":["\#(composed)"]}"#)
        #expect(needed.fault(in: .object([composed: 1])) == nil && needed.fault(in: .object([decomposed: 1])) != nil)
        #expect(throws: GrammarError.unsatisfiable) {
            let both = #"{"allOf":[{"const":"\#(decomposed)"},{"enum":["\#(composed)","x"]}]}"#
            try OutputGrammar.json(schema(both.replacing("\"x\"", with: "1"))).check()
        }
    }

    @Test(
        "two spellings of one name in a schema are refused, for an object is read by its names",
        arguments: [
            #"{"type":"object","properties":{"A":{}},"required":["B"]}"#, #"{"type":"object","required":["A","B"]}"#,
            #"{"allOf":[{"type":"object","properties":{"A":{}}},{"type":"object","properties":{"B":{}}}]}"#,
            #"{"allOf":[{"type":"object","required":["A"]},{"type":"object","properties":{"B":{}}}]}"#,
        ])
    func twoSpellings(text: String) {
        let spelled = text.replacing("\"A\"", with: "\"\u{e9}\"").replacing("\"B\"", with: "\"e\u{301}\"")
        let error = #expect(throws: JSONSchemaError.self) { try schema(spelled) }
        guard case .spelledTwice = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test(
        "grammars that differ by a spelling are different",
        arguments: [
            #"{"const":"X"}"#, #"{"enum":[["X"]]}"#, #"{"type":"string","pattern":"^X$"}"#,
            #"{"type":"object","required":["X"]}"#, #"{"type":"object","properties":{"X":{"type":"null"}}}"#,
            #"{"type":"array","items":{"const":{"a":"X"}}}"#,
        ])
    func cacheKeys(text: String) throws {
        let composed = OutputGrammar.json(try schema(text.replacing("X", with: "\u{e9}")))
        let decomposed = OutputGrammar.json(try schema(text.replacing("X", with: "e\u{301}")))
        #expect(composed != decomposed)
        #expect(composed == .json(try schema(text.replacing("X", with: "\u{e9}"))))
        #expect(OutputGrammar.oneOf([.text("\u{e9}")]) != .oneOf([.text("e\u{301}")]))
        #expect(OutputGrammar.Ending("\u{e9}") != OutputGrammar.Ending("e\u{301}"))
        #expect(OutputGrammar.oneOf([.text("\u{e9}"), .text("e\u{301}")]).texts(atMost: 3)?.count == 2)
    }

    @Test(
        "a format is kept by the types that have it, and refused where none has it",
        arguments: [
            #"{"type":["integer","null"],"format":"bogus"}"#, #"{"type":["number","null"],"format":"decimal128"}"#,
            #"{"type":["string","null"],"format":"int32"}"#, #"{"type":"integer","format":"date"}"#,
            #"{"type":"integer","format":"double"}"#, #"{"type":"boolean","format":"bogus"}"#,
            #"{"type":"array","format":"date"}"#, #"{"type":["object","null"],"format":"uri"}"#,
            #"{"format":"bogus"}"#, #"{"format":"int32"}"#, #"{"type":"integer","format":3}"#,
        ])
    func formats(text: String) {
        #expect(throws: JSONSchemaError.self) { try schema(text) }
    }

    @Test("formats beside several types hold for the values that they speak of")
    func mixedFormats() throws {
        let dated = try schema(#"{"type":["integer","string"],"format":"date"}"#)
        #expect(dated.fault(in: 5) == nil && dated.fault(in: "2024-02-29") == nil && dated.fault(in: "x") != nil)
        let counted = try schema(#"{"type":["integer","string","null"],"format":"int32"}"#)
        #expect(counted.fault(in: "x") == nil && counted.fault(in: .null) == nil)
        #expect(counted.fault(in: 2_147_483_647) == nil && counted.fault(in: 2_147_483_648) != nil)
        let number = try schema(#"{"type":"number","format":"int32"}"#)
        #expect(number.fault(in: 3.0) == nil && number.fault(in: 3.5) != nil && number.fault(in: 1e12) != nil)
        let real = try schema(#"{"type":["number","null"],"format":"double"}"#)
        #expect(real.fault(in: 3.5) == nil)
    }

    @Test(
        "half of a surrogate pair is refused where that is asked for",
        arguments: [#""\ud83d""#, #""\ude00x""#, #""\ud83d\n""#])
    func halfPairs(text: String) throws {
        #expect(throws: JSONTree.SyntaxError.self) { try JSONTree.parse(Array(text.utf8), halfPairs: .refused) }
        #expect(try JSONTree.parse(Array(text.utf8)).string?.contains("\u{fffd}") == true)
        #expect(try JSONTree.parse(Array(#""\ud83d\ude00""#.utf8), halfPairs: .refused).string == "😀")
    }
}

@Suite("Schemas that take long")
struct SchemaWorkTests {
    private func check(_ schema: JSONValue) throws {
        try OutputGrammar.json(JSONSchema(schema)).checkForStrangers()
    }

    @Test("many choices over a long chain of definitions are compared, however busy the machine is")
    func chain() throws {
        var definitions: [String: JSONValue] = ["d80": ["type": "integer"]]
        for number in 0..<80 {
            definitions["d\(number)"] = [
                "type": "object", "required": ["n"], "properties": ["n": ["$ref": .string("#/$defs/d\(number + 1)")]],
            ]
        }
        let choices = (0..<64).map { number -> JSONValue in
            [
                "type": "object", "required": ["t", "r"],
                "properties": ["t": ["const": .integer(number)], "r": ["$ref": "#/$defs/d0"]],
            ]
        }
        try check(["$defs": .object(definitions), "oneOf": .array(choices)])
    }

    @Test("more texts at once than can be followed are refused, and as many literals as there are read")
    func breadth() throws {
        func texts(_ count: Int) -> JSONValue {
            ["anyOf": .array((0..<count).map { ["type": "string", "maxLength": .integer(20 + $0)] })]
        }
        try check(texts(128))
        let error = #expect(throws: GrammarError.self) { try check(texts(128 + 1)) }
        #expect(error?.description.contains("in the same text") == true)
        try check(["enum": .array((0..<1000).map { .string("value \($0)") })])
        try check(["anyOf": .array((0..<500).map { _ in ["type": "string", "maxLength": 9] })])
        // The calls of many tools begin with their names.
        let arguments = try JSONSchema(["type": "object", "properties": ["q": ["type": "string"]]])
        let tools = (0..<300).map { (name: "tool\($0)", arguments: arguments) }
        for form in ToolCallForm.allCases {
            try ToolCallText.grammar(tools, as: form).checkForStrangers()
        }
    }

    @Test("an object of many members that may be left out is read in little room")
    func manyMembers() throws {
        let members = Dictionary(uniqueKeysWithValues: (0..<1500).map { ("k\($0)", ["type": "null"] as JSONValue) })
        let automaton = try GrammarAutomaton(
            .json(JSONSchema(["type": "object", "properties": .object(members), "required": ["k7"]])))
        let text = #"{ "k12": null, "k1499":null , "k7" : null }"#
        let state = try #require(automaton.state(after: automaton.start, text.utf8, isClosing: false))
        #expect(automaton.isComplete(state, isClosing: false))
        #expect(automaton.parseCount < 200_000)
        #expect(automaton.state(after: automaton.start, #"{"k12":null,"k12""#.utf8, isClosing: false) == nil)
        #expect(automaton.state(after: automaton.start, #"{"k12":null}"#.utf8, isClosing: false) == nil)
    }

    @Test("an object that is told to close behind a comma comes to its end")
    func closing() throws {
        let schema = try JSONSchema([
            "type": "object", "required": ["b"],
            "properties": ["a": ["type": "null"], "b": ["type": "null"], "c": ["type": "null"]],
        ])
        for (begun, rest, other) in [
            (#"{"a":null,"#, #""b":null}"#, "\"c"), (#"{"b":null, "#, #""c":null}"#, "}"), ("{", #""b":null}"#, "\"a"),
            (#"{"b":null"#, "}", ","),
        ] {
            var matcher = try GrammarMatcher(.json(schema))
            let isBegun = matcher.advance(begun.utf8)
            matcher.close()
            var wrong = matcher
            let isWrong = wrong.advance(other.utf8)
            let isRight = matcher.advance(rest.utf8)
            #expect(isBegun && !isWrong && isRight && matcher.isExhausted, "\(begun)")
        }
    }
}
