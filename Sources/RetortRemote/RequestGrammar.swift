import Foundation
import RetortCore

extension RequestBody {
    /// More texts are no list that a server should compile for each request.
    private static let mostTexts = 4096

    /// Holds the reply to a grammar, in the endpoint's terms.
    /// - Throws: `RemoteError.inexpressible`: a grammar that was left out would be a wish nobody knows of.
    mutating func constrain(to wanted: OutputGrammar, _ endpoint: Endpoint) throws {
        if case .json(let schema) = wanted {
            if endpoint.grammar == .gbnf {
                json_schema = schema.json
            } else {
                response_format = [
                    "type": "json_schema", "json_schema": ["name": "reply", "strict": true, "schema": schema.json],
                ]
            }
            return
        }
        guard let texts = wanted.texts(atMost: Self.mostTexts), !texts.isEmpty else {
            throw RemoteError.inexpressible(
                endpoint: endpoint.name,
                reason: "a grammar of free text or of JSON within text: only a JSON schema, or up to \(Self.mostTexts) "
                    + "texts to choose from, can be sent; ask without it, or run the model here")
        }
        switch endpoint.grammar {
        case .schemas:
            throw RemoteError.inexpressible(
                endpoint: endpoint.name,
                reason:
                    "texts to choose from: OpenAI's protocol has no field for them; name the server's with 'grammar', "
                    + "one of structuredOutputs (vLLM, Retort), guided (vLLM before 0.12), gbnf (llama.cpp) and regex "
                    + "(SGLang)")
        case .structuredOutputs: structured_outputs = ["choice": .array(texts.map(JSONValue.string))]
        case .guided: guided_choice = texts
        case .gbnf: grammar = "root ::= " + texts.map(Self.gbnf).joined(separator: " | ")
        case .regex: regex = "(" + texts.map(NSRegularExpression.escapedPattern).joined(separator: "|") + ")"
        }
    }

    /// A text as a literal of llama.cpp's grammars (`grammars/README.md` there): code points, with escapes as in C.
    private static func gbnf(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case "\n": "\\n"
            case "\r": "\\r"
            case "\t": "\\t"
            case _ where scalar.value < 0x20: String(format: "\\x%02x", scalar.value)
            default: String(scalar)
            }
        }
        return "\"\(escaped.joined())\""
    }
}
