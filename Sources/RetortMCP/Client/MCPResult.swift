import Foundation
import RetortCore

/// What a tool gave back.
public struct MCPResult: Sendable, Hashable {
    /// Its parts, for reading.
    public var content: [MCPContent]
    /// Its value, where the tool has structured results.
    public var structured: JSONValue?
    /// Whether the tool failed.
    public var isError: Bool

    /// - Parameters:
    ///   - structured: the same as JSON; nil where there is none.
    ///   - isError: whether the tool failed.
    public init(content: [MCPContent], structured: JSONValue? = nil, isError: Bool = false) {
        self.content = content
        self.structured = structured
        self.isError = isError
    }

    /// Reads the result of `tools/call`.
    /// - Returns: nil when it is none.
    init?(_ json: JSONValue) {
        let structured = json["structuredContent"].flatMap { $0 == .null ? nil : $0 }
        guard let parts = json["content"]?.array ?? (structured == nil ? nil : []) else { return nil }
        self.init(content: parts.map(MCPContent.init), structured: structured, isError: json["isError"] == true)
    }

    /// What a reader is shown. Images and sounds are named.
    public var text: String { content.map(\.text).joined(separator: "\n") }
}

/// A part of a result.
public enum MCPContent: Sendable, Hashable {
    case text(String)
    /// An image or a sound: what it is (`image/png`) and how many bytes it has.
    case media(kind: String, type: String, bytes: Int)
    /// A file or page by its address.
    case link(uri: String, name: String, summary: String)
    /// A file that came along: its text, or how many bytes it has.
    case resource(uri: String, type: String, text: String?, bytes: Int)
    /// A kind of content that is not known here.
    case other(String)

    init(_ json: JSONValue) {
        func text(_ name: String) -> String { json[name]?.string ?? "" }
        switch json["type"]?.string {
        case "text": self = .text(text("text"))
        case let kind? where kind == "image" || kind == "audio":
            self = .media(kind: kind, type: text("mimeType"), bytes: Self.bytes(text("data")))
        case "resource_link":
            self = .link(uri: text("uri"), name: text("name"), summary: text("description"))
        case "resource":
            let resource = json["resource"] ?? [:]
            self = .resource(
                uri: resource["uri"]?.string ?? "", type: resource["mimeType"]?.string ?? "",
                text: resource["text"]?.string, bytes: Self.bytes(resource["blob"]?.string ?? ""))
        case let kind: self = .other(kind ?? "without a type")
        }
    }

    /// How many bytes a base64 text stands for.
    private static func bytes(_ base64: String) -> Int {
        base64.utf8.lazy.filter { $0 != UInt8(ascii: "=") && $0 > 0x20 }.count * 3 / 4
    }

    /// How the part reads.
    public var text: String {
        switch self {
        case .text(let text): text
        case .media(let kind, let type, let bytes): "[\(kind), \(type), \(bytes) bytes, not shown]"
        case .link(let uri, let name, let summary):
            "[\(name.isEmpty ? "resource" : name): \(uri)]\(summary.isEmpty ? "" : " \(summary)")"
        case .resource(_, _, let text?, _): text
        case .resource(let uri, let type, nil, let bytes): "[\(uri), \(type), \(bytes) bytes, not shown]"
        case .other(let kind): "[content of the kind '\(kind)', not shown]"
        }
    }
}
