import RetortCore
import Testing

@Suite("JSON for people")
struct IndentedTextTests {
    @Test("each member and element has its line; strings and numbers stay as they are")
    func lines() throws {
        let value: JSONValue = ["a": [1, 2.0, []], "b": ["c,{\"": "x: [\\\" }", "d": [:]], "e": .number(.infinity)]
        let text = ExactJSON.indentedText(value)
        #expect(
            text == #"""
                {
                  "a": [
                    1,
                    2.0,
                    []
                  ],
                  "b": {
                    "c,{\"": "x: [\\\" }",
                    "d": {}
                  },
                  "e": {"$float": "inf"}
                }
                """#)
        let back = try ExactJSON.value(of: text)
        #expect(back == value)
        #expect(ExactJSON.indentedText([]) == "[]" && ExactJSON.indentedText(1.5) == "1.5")
    }
}
