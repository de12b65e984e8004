import RetortCore

/// A call by StableToolBench's protocol: the body of `POST /virtual` (arXiv 2403.07714).
public struct VirtualCall: Codable, Sendable, Hashable {
    /// The tool's category, such as `Media`.
    public var category: String
    /// The tool's name.
    public var tool: String
    /// The function's name.
    public var api: String
    /// The arguments: an object, or a text of one.
    public var input: JSONValue
    /// How ToolBench's own server shortens replies; not used here.
    public var strip: String
    /// ToolBench's key; not used here.
    public var key: String

    enum CodingKeys: String, CodingKey {
        case category, strip
        case tool = "tool_name"
        case api = "api_name"
        case input = "tool_input"
        case key = "toolbench_key"
    }

    /// A call as the protocol's body holds it.
    public init(category: String, tool: String, api: String, input: JSONValue, strip: String = "", key: String = "") {
        self.category = category
        self.tool = tool
        self.api = api
        self.input = input
        self.strip = strip
        self.key = key
    }

    /// Reads a body, in which `strip` and `toolbench_key` may be missing.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        category = try fields.decode(String.self, forKey: .category)
        tool = try fields.decode(String.self, forKey: .tool)
        api = try fields.decode(String.self, forKey: .api)
        input = try fields.decodeIfPresent(JSONValue.self, forKey: .input) ?? ""
        strip = try fields.decodeIfPresent(String.self, forKey: .strip) ?? ""
        key = try fields.decodeIfPresent(String.self, forKey: .key) ?? ""
    }

    /// The arguments as an object; nil when they are none. An empty text is no arguments.
    public var arguments: [String: JSONValue]? {
        if let text = input.string {
            return text.isEmpty ? [:] : (try? ExactJSON.value(of: text))?.object
        }
        return input.object
    }
}

/// What a virtual API replies: `{"error", "response"}`.
public struct VirtualReply: Codable, Sendable, Hashable {
    /// Empty when the call worked.
    public var error: String
    /// A text, or any JSON.
    public var response: JSONValue

    /// - Parameter error: empty when the call worked.
    public init(error: String = "", response: JSONValue = "") {
        self.error = error
        self.response = response
    }
}

/// Whatever replies to virtual calls: a model that imitates the APIs, a cache before it, a server elsewhere.
public protocol VirtualAPIs: Sendable {
    /// - Throws: only when no reply could be had at all; an API's own error is a reply.
    func reply(to call: VirtualCall) async throws -> VirtualReply
}

/// Which function is meant, however its name is written.
public struct VirtualAPIName: Codable, Sendable, Hashable {
    /// The category it is in, as ToolBench has it.
    public let category: String
    /// The tool that it belongs to.
    public let tool: String
    /// Its own name.
    public let api: String

    /// ToolBench's standard forms of the names.
    public init(category: String, tool: String, api: String) {
        let category = ToolBenchName.category(category)
        let bare = tool.hasSuffix("_for_\(category)") ? String(tool.dropLast("_for_\(category)".count)) : tool
        let tool = ToolBenchName.standard(bare)
        let name = ToolBenchName.function(api)
        self.category = category
        self.tool = tool
        self.api = name.hasSuffix("_for_\(tool)") ? String(name.dropLast("_for_\(tool)".count)) : name
    }

    /// The function that a call is for.
    public init(_ call: VirtualCall) { self.init(category: call.category, tool: call.tool, api: call.api) }
}

/// How ToolBench spells names (arXiv 2307.16789; its `standardize` and `change_name`).
public enum ToolBenchName {
    private static let reserved: Set = ["from", "class", "return", "false", "true", "id", "and"]

    /// Small letters, digits, `_`, `^` and Chinese; anything else is one `_`; none at either end; no digit first.
    public static func standard(_ name: String) -> String {
        var text = ""
        for scalar in name.unicodeScalars {
            let isKept =
                scalar.isASCII
                ? scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "^"
                : (0x4E00...0x9FA5).contains(scalar.value)
            if isKept {
                text.unicodeScalars.append(scalar)
            } else if text.last != "_" {
                text += "_"
            }
        }
        text = text.lowercased().trimmingUnderscores
        return text.first?.isNumber == true ? "get_\(text)" : text
    }

    /// A function's name alone: the standard form, and not a word of Python.
    public static func function(_ name: String) -> String {
        let standard = standard(name)
        return reserved.contains(standard) ? "is_\(standard)" : standard
    }

    /// The name a model calls: `<api>_for_<tool>`, its last 64 characters.
    public static func call(api: String, tool: String) -> String {
        String("\(function(api))_for_\(standard(tool))".suffix(64))
    }

    /// A category as a folder is named.
    public static func category(_ name: String) -> String {
        name.replacing(/[ ,\/]/, with: "_").replacing("__", with: "_")
    }
}

extension String {
    fileprivate var trimmingUnderscores: String {
        guard let first = firstIndex(where: { $0 != "_" }), let last = lastIndex(where: { $0 != "_" }) else {
            return ""
        }
        return String(self[first...last])
    }
}
