import RetortCore

/// What ties an answer to its request: a text or a number, given back as it came.
public struct JSONRPCID: Sendable, Hashable, CustomStringConvertible {
    /// The value itself.
    public let json: JSONValue

    /// Nil for what cannot identify a request.
    public init?(_ json: JSONValue) {
        switch json {
        case .string, .integer: self.json = json
        // Some libraries write whole numbers with a fraction.
        case .number(let value): self.json = Int(exactly: value).map { .integer($0) } ?? json
        case .object(let members) where members.count == 1 && members["$int"] != nil: self.json = json
        default: return nil
        }
    }

    init(_ number: Int) { json = .integer(number) }

    /// In words.
    public var description: String { json.jsonText }
}

/// The error object of a response (JSON-RPC 2.0, section 5.1).
public struct JSONRPCError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of error it is.
    public var code: Int
    /// A sentence.
    public var message: String
    /// More, where there is more.
    public var data: JSONValue?

    /// - Parameter code: one of JSON-RPC's, or the server's own.
    public init(code: Int, message: String, data: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
    }

    /// Not JSON.
    public static let parseError = -32700
    /// JSON, but no message.
    public static let invalidRequest = -32600
    /// No such method.
    public static let methodNotFound = -32601
    /// Parameters that do not fit.
    public static let invalidParams = -32602
    /// The other side broke.
    public static let internalError = -32603

    /// What went wrong, and what to do.
    public var description: String { "\(message) (code \(code))" }
}

/// A message of JSON-RPC 2.0, as the Model Context Protocol uses it: parameters have names.
public enum JSONRPCMessage: Sendable, Hashable {
    case request(JSONRPCID, method: String, params: [String: JSONValue])
    case notification(method: String, params: [String: JSONValue])
    case response(JSONRPCID, JSONValue)
    /// A request's error; without an identity when the request could not be read.
    case failure(JSONRPCID?, JSONRPCError)

    /// Reads a message.
    /// - Throws: `JSONRPCFault` with the reason, and the request's identity where it has one.
    public init(_ json: JSONValue) throws(JSONRPCFault) {
        let id = json["id"].flatMap(JSONRPCID.init)
        func fault(_ reason: String) -> JSONRPCFault { JSONRPCFault(id: id, reason: reason) }
        guard let members = json.object else { throw fault("it is no object") }
        guard members["jsonrpc"] == "2.0" else { throw fault("it does not say \"jsonrpc\": \"2.0\"") }
        if let method = members["method"] {
            guard let name = method.string else { throw fault("its method is no text") }
            guard members["result"] == nil, members["error"] == nil else {
                throw fault("it is a request and a response at once")
            }
            guard let params = (members["params"] ?? [:]).object else { throw fault("its params are no object") }
            guard let value = members["id"] else {
                self = .notification(method: name, params: params)
                return
            }
            guard let id else { throw fault("its id is \(value.jsonText.prefix(40)), neither a text nor a number") }
            self = .request(id, method: name, params: params)
        } else if let error = members["error"] {
            guard members["result"] == nil else { throw fault("it has a result and an error") }
            guard let code = error["code"]?.wholeNumber, let message = error["message"]?.string else {
                throw fault("its error has no code or no message")
            }
            self = .failure(id, JSONRPCError(code: code, message: message, data: error["data"]))
        } else {
            guard let result = members["result"] else { throw fault("it has no method, result or error") }
            guard let id else { throw fault("it is a response without an id") }
            self = .response(id, result)
        }
    }

    /// The message as JSON.
    public var json: JSONValue {
        var members: [String: JSONValue] = ["jsonrpc": "2.0"]
        switch self {
        case .request(let id, let method, let params):
            members["id"] = id.json
            members["method"] = .string(method)
            members["params"] = .object(params)
        case .notification(let method, let params):
            members["method"] = .string(method)
            if !params.isEmpty { members["params"] = .object(params) }
        case .response(let id, let result):
            members["id"] = id.json
            members["result"] = result
        case .failure(let id, let error):
            members["id"] = id?.json ?? .null
            var inner: [String: JSONValue] = ["code": .integer(error.code), "message": .string(error.message)]
            inner["data"] = error.data
            members["error"] = .object(inner)
        }
        return .object(members)
    }

    /// The message as one line of JSON, without the line's end.
    public var line: String { ExactJSON.text(json, marks: .asTheyAre) }

    /// The messages of a text: one, or the several of a batch (protocol version 2025-03-26).
    /// - Throws: `JSONRPCFault` when the text is not JSON or is an empty batch.
    static func messages(
        of bytes: some Sequence<UInt8>
    ) throws(JSONRPCFault) -> [Result<JSONRPCMessage, JSONRPCFault>] {
        let json: JSONValue
        do {
            json = try ExactJSON.value(of: bytes, marks: .asTheyAre)
        } catch {
            throw JSONRPCFault(id: nil, code: JSONRPCError.parseError, reason: "\(error)")
        }
        let values = json.array ?? [json]
        guard !values.isEmpty else { throw JSONRPCFault(id: nil, reason: "it is an empty batch") }
        return values.map { value in
            do throws(JSONRPCFault) { return .success(try JSONRPCMessage(value)) } catch { return .failure(error) }
        }
    }
}

/// A text that is no message.
public struct JSONRPCFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// The identity of the request that it was meant to be, where there is one.
    public var id: JSONRPCID?
    /// What it is answered with.
    public var code = JSONRPCError.invalidRequest
    /// What is wrong with it.
    public var reason: String

    /// What went wrong, and what to do.
    public var description: String { reason }
}

extension JSONValue {
    /// A whole number, written with a fraction or without.
    var wholeNumber: Int? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int(exactly: value)
        default: nil
        }
    }

    /// Whether all numbers within are finite: others have no JSON.
    var isFinite: Bool {
        switch self {
        case .number(let value): value.isFinite
        case .array(let elements): elements.allSatisfy(\.isFinite)
        case .object(let members): members.values.allSatisfy(\.isFinite)
        case .null, .bool, .integer, .string: true
        }
    }
}
