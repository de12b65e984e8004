import Foundation
import RetortCore

extension TokenizerDefinition {
    /// The `tokenizer.json` of a definition that came from another kind of file.
    func written() -> Data {
        var members: [(name: [UInt8], value: JSONTree)] = [
            JSONTree.member("version", .text("1.0")), JSONTree.member("truncation", .null),
            JSONTree.member("padding", .null),
        ]
        members.append(JSONTree.member("added_tokens", .array(addedTokens.sorted { $0.id < $1.id }.map(\.tree))))
        for name in ["normalizer", "pre_tokenizer", "post_processor", "decoder"] {
            members.append(JSONTree.member(name, tree[name] ?? .null))
        }
        var model =
            if case .object(let members)? = tree["model"] { members } else { [(name: [UInt8], value: JSONTree)]() }
        let vocabulary = ids.sorted { $0.value < $1.value }.map {
            (name: $0.key, value: JSONTree.number("\($0.value)"))
        }
        model.removeAll { $0.name == Array("vocab".utf8) }
        model.append(JSONTree.member("vocab", .object(vocabulary)))
        if let pieces {
            let merges = pieces.merges().map { JSONTree.array([.string($0.left), .string($0.right)]) }
            model.append(JSONTree.member("merges", .array(merges)))
        }
        members.append(JSONTree.member("model", .object(model)))
        var text: [UInt8] = []
        JSONTree.object(members).write(to: &text)
        return Data(text)
    }
}

extension AddedToken {
    fileprivate var tree: JSONTree {
        let flags = [
            ("special", special), ("normalized", normalized), ("lstrip", stripsLeft), ("rstrip", stripsRight),
            ("single_word", singleWord),
        ]
        return .object(
            [JSONTree.member("id", .number("\(id)")), JSONTree.member("content", .string(content))]
                + flags.map { JSONTree.member($0.0, .bool($0.1)) })
    }
}

extension JSONTree {
    static func text(_ text: String) -> JSONTree { .string(Array(text.utf8)) }

    static func member(_ name: String, _ value: JSONTree) -> (name: [UInt8], value: JSONTree) {
        (Array(name.utf8), value)
    }

    /// An object with its members in order.
    static func members(_ members: KeyValuePairs<String, JSONTree>) -> JSONTree {
        .object(members.map { member($0.key, $0.value) })
    }

    /// Adds the document's text.
    func write(to text: inout [UInt8]) {
        func list<Element>(_ all: [Element], _ body: (Element, inout [UInt8]) -> Void) {
            for (index, element) in all.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                body(element, &text)
            }
        }
        switch self {
        case .null: text += "null".utf8
        case .bool(let flag): text += (flag ? "true" : "false").utf8
        case .number(let digits): text += digits.utf8
        case .string(let bytes): Self.write(bytes, to: &text)
        case .array(let elements):
            text.append(UInt8(ascii: "["))
            list(elements) { $0.write(to: &$1) }
            text.append(UInt8(ascii: "]"))
        case .object(let members):
            text.append(UInt8(ascii: "{"))
            list(members) {
                Self.write($0.name, to: &$1)
                $1.append(UInt8(ascii: ":"))
                $0.value.write(to: &$1)
            }
            text.append(UInt8(ascii: "}"))
        }
    }

    private static func write(_ string: [UInt8], to text: inout [UInt8]) {
        text.append(UInt8(ascii: "\""))
        for byte in string {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
            case ..<0x20:
                let digits = String(byte, radix: 16)
                text += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
    }
}
