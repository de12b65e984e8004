import Foundation
import RetortCore
import Testing

@Suite("JSON schema")
struct JSONSchemaTests {
    private struct Case: Decodable {
        let schema: JSONValue
        let value: JSONValue
        let valid: Bool
    }

    @Test("judges 400 values as the PyPI package jsonschema does (Tools/make_schema_cases.py)")
    func oracle() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/schemas.jsonl")
        let cases = try JSONLinesFile(file).read(Case.self).records
        #expect(cases.count == 400)
        for item in cases {
            let schema = try JSONSchema(item.schema)
            let fault = schema.fault(in: item.value)
            #expect(try JSONSchema(schema.json) == schema, "written and read again: \(schema.json.jsonText)")
            #expect((fault == nil) == item.valid, "\(item.schema.jsonText) \(item.value.jsonText) \(fault ?? "valid")")
        }
    }

    @Test("judges 700 values of pydantic's schemas as jsonschema does (Tools/make_pydantic_cases.py)")
    func pydantic() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/pydantic.jsonl")
        let cases = try JSONLinesFile(file).read(Case.self).records
        #expect(cases.count == 700)
        for item in cases {
            let schema = try JSONSchema(item.schema)
            let fault = schema.fault(in: item.value)
            #expect(try JSONSchema(schema.json) == schema, "written and read again: \(schema.json.jsonText)")
            #expect((fault == nil) == item.valid, "\(item.schema.jsonText) \(item.value.jsonText) \(fault ?? "valid")")
        }
    }

    private func schema(_ text: String) throws -> JSONSchema { try JSONSchema(ExactJSON.value(of: text)) }

    @Test(
        "what cannot be followed is refused with its place",
        arguments: [
            (#"{"type":"array","uniqueItems":true}"#, "#: 'uniqueItems'"),
            (##"{"properties":{"a":{"not":{}}}}"##, "#/properties/a: 'not'"),
            (#"{"type":"string","format":"iri-reference"}"#, "format: iri-reference"),
            (#"{"type":"string","pattern":"(?=a)b"}"#, "lookahead"),
            (#"{"type":"string","pattern":"(a)\\1"}"#, "back reference"),
            (#"{"type":"string","pattern":"\\bword"}"#, "boundaries"),
            (#"{"type":"string","pattern":"a{3,2}"}"#, "out of order"),
            (#"{"type":"string","pattern":"(a"}"#, "not closed"),
            (#"{"type":"string","pattern":"*a"}"#, "repeats nothing"),
            (#"{"type":"string","pattern":"(a{1,900}){1,900}"}"#, "too large"),
            (#"{"type":"string","pattern":"\\p{L}"}"#, "properties"),
            (##"{"type":"object","properties":[]}"##, "#/properties"),
            (##"{"type":"object","required":"a"}"##, "#/required"),
            (##"{"type":"object","required":[1]}"##, "#/required"),
            (##"{"type":"array","minItems":-1}"##, "#/minItems"),
            (##"{"type":"array","maxItems":1e30}"##, "#/maxItems"),
            (##"{"type":"integer","minimum":1e30}"##, "64 bits"),
            (##"{"type":"number","minimum":"3"}"##, "#/minimum"),
            (##"{"type":"number","exclusiveMinimum":true}"##, "draft 6"),
            (##"{"type":"float"}"##, "no type 'float'"), (##"{"type":[]}"##, "no type"), (##"{"type":3}"##, "#/type"),
            (##"{"enum":3}"##, "#/enum"), (##"{"anyOf":[]}"##, "#/anyOf"), (##"{"nullable":"yes"}"##, "#/nullable"),
            (##"{"$ref":"#/$defs/none"}"##, "nothing at"), (##"{"$ref":"https://example.com/x"}"##, "$ref: https"),
            (#"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#, "choices 0 and 1"),
            (#"{"oneOf":[{"required":["a"]},{"type":"null"}]}"#, "choices 0 and 1"), (#"[]"#, "neither an object"),
        ])
    func refused(text: String, said: String) {
        let error = #expect(throws: JSONSchemaError.self) { try schema(text) }
        #expect(error?.description.contains(said) == true, "\(text): \(error?.description ?? "")")
    }

    @Test("OpenAPI's nullable takes null besides; its int32 has its bounds")
    func openAPI() throws {
        let text = try schema(#"{"type":"string","maxLength":2,"nullable":true}"#)
        #expect(text.fault(in: .null) == nil && text.fault(in: "ab") == nil && text.fault(in: "abc") != nil)
        let number = try schema(#"{"type":"integer","format":"int32"}"#)
        #expect(number.fault(in: 2_147_483_647) == nil && number.fault(in: 2_147_483_648) != nil)
        #expect(
            try schema(##"{"$ref":"#/$defs/a","nullable":true,"$defs":{"a":{"type":"integer"}}}"##).fault(in: .null)
                == nil)
    }

    @Test(
        "formats are kept, not noted",
        arguments: [
            ("date", "2000-02-29", "1900-02-29"), ("date-time", "2024-05-06T07:08:09.5+01:00", "2024-05-06 07:08:09"),
            ("time", "23:59:59Z", "24:00:00Z"), ("uuid", "12345678-90ab-CDEF-1234-567890abcdef", "12345678"),
            ("ipv4", "255.0.10.1", "256.0.0.1"), ("email", "a.b+c@example.org", "a@b@c"),
            ("duration", "P1Y2M3DT4H", "P"),
            ("hostname", "a-b.example", "-a.example"), ("uri", "https://a.b/c?d=%20#e", "no uri"),
        ])
    func formats(name: String, good: String, bad: String) throws {
        let schema = try JSONSchema(["type": "string", "format": .string(name)])
        #expect(schema.fault(in: .string(good)) == nil)
        #expect(schema.fault(in: .string(bad)) != nil)
        #expect(try JSONSchema(schema.json) == schema)
    }

    @Test("whole numbers beyond 2⁵³ and beyond 64 bits are compared as they are")
    func wide() throws {
        let bound = try schema(#"{"type":"integer","maximum":9007199254740993}"#)
        #expect(bound.fault(in: 9_007_199_254_740_993) == nil && bound.fault(in: 9_007_199_254_740_994) != nil)
        let huge = try ExactJSON.value(of: "123456789012345678901234567890")
        #expect(JSONSchema.integer(minimum: nil, maximum: nil).fault(in: huge) == nil)
        #expect(JSONSchema.anyObject.fault(in: huge) != nil)
        let one = try schema(#"{"enum":[1]}"#)
        #expect(one.fault(in: 1.0) == nil && one.fault(in: true) != nil)
    }

    @Test(
        "says what is wrong, and where",
        arguments: [
            (#"{}"#, "'city' is missing"), (#"{"city":3}"#, "'city' must be a text"),
            (#"{"city":"X","day":0}"#, "'day' must be at least 1.0"), (#"{"city":"X","more":1}"#, "there is no 'more'"),
            (#"3"#, "the value must be an object"),
        ])
    func faults(value: String, fault: String) throws {
        let schema = try JSONSchema([
            "type": "object", "required": ["city"], "additionalProperties": false,
            "properties": ["city": ["type": "string"], "day": ["type": "integer", "minimum": 1]],
        ])
        #expect(schema.fault(in: try JSONCoding.decoder.decode(JSONValue.self, from: Data(value.utf8))) == fault)
    }

    @Test("a keyword that would be ignored is refused")
    func unsupported() {
        #expect(throws: JSONSchemaError.unsupported("#/properties/a", keyword: "multipleOf")) {
            try JSONSchema(["type": "object", "properties": ["a": ["type": "integer", "multipleOf": 3]]])
        }
    }
}
