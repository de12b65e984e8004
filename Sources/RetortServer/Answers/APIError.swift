import Hummingbird
import RetortCore
import RetortRemote

/// An error as OpenAI's clients expect it: a status and `{"error": {"message", "type", "param", "code"}}`.
struct APIError: Error, Sendable, Equatable, CustomStringConvertible {
    var status: HTTPResponse.Status
    var type = "invalid_request_error"
    var code: String?
    /// The field at fault, such as `messages[0].content`.
    var param: String?
    var message: String
    /// Seconds after which a retry makes sense (`Retry-After`); nil sends no such header.
    var retryAfter: Int?

    var description: String { "\(status.code) \(message)" }

    /// The error as JSON.
    var body: JSONValue {
        [
            "error": [
                "message": .string(message), "type": .string(type), "param": param.map(JSONValue.string) ?? .null,
                "code": code.map(JSONValue.string) ?? .null,
            ]
        ]
    }

    static func invalid(_ message: String, param: String? = nil, code: String? = nil) -> APIError {
        APIError(status: .badRequest, code: code, param: param, message: message)
    }

    static func unsupported(_ param: String, _ reason: String) -> APIError {
        invalid("'\(param)' is not supported: \(reason)", param: param, code: "unsupported_parameter")
    }

    static func noModel(_ name: String, known: [String]) -> APIError {
        APIError(
            status: .notFound, code: "model_not_found", param: "model",
            message: "there is no model '\(name.shown(upTo: longestName))'; the models are "
                + known.joined(separator: ", "))
    }

    static func misdirected(_ host: String) -> APIError {
        APIError(
            status: .misdirectedRequest, code: "unknown_host",
            message:
                "the server is not known as '\(host.shown(upTo: longestName))'; ask 127.0.0.1 or localhost, or serve with "
                + "a key")
    }

    static func foreignPage(_ origin: String) -> APIError {
        APIError(
            status: .forbidden, code: "wrong_origin",
            message: "pages of '\(origin.shown(upTo: longestName))' may not ask this server")
    }

    static let wrongKey = APIError(
        status: .unauthorized, code: "invalid_api_key",
        message: "the request shows no valid key; send one as 'Authorization: Bearer KEY'")

    static let notHTTP = APIError(
        status: .badRequest, code: "invalid_http", message: "the request cannot be parsed as HTTP/1.1")

    static let notJSON = APIError(
        status: .unsupportedMediaType, code: "unsupported_media_type",
        message: "the body must be JSON; send it with 'Content-Type: application/json'")

    static func tooLarge(limit: Int) -> APIError {
        APIError(
            status: .contentTooLarge, code: "request_too_large",
            message: "the body is longer than \(limit) bytes; send less, or raise the server's limit")
    }

    static func slowClient(seconds: Double) -> APIError {
        APIError(
            status: .requestTimeout, code: "request_timeout",
            message: "the body did not arrive within \(seconds.formatted) s")
    }

    static func slowReader(bytes: Int) -> APIError {
        APIError(
            status: .requestTimeout, code: "slow_reader",
            message: "the answer is read more slowly than it is written, and \(bytes) bytes of it wait; read faster")
    }

    static func timeout(seconds: Double) -> APIError {
        APIError(
            status: .gatewayTimeout, type: "server_error", code: "timeout",
            message:
                "the request took longer than \(seconds.formatted) s; ask for fewer tokens, or raise the server's limit"
        )
    }

    static func server(_ message: String) -> APIError {
        APIError(status: .internalServerError, type: "server_error", code: "internal_error", message: message)
    }

    static func overloaded(_ message: String, retryAfter: Int) -> APIError {
        APIError(
            status: .serviceUnavailable, type: "server_error", code: "overloaded", message: message,
            retryAfter: retryAfter)
    }

    /// The longest parameter name and the longest message, in characters: both contain clients' own words, and both
    /// are logged.
    private static let longestName = 200
    private static let longestMessage = 2000

    /// A name of a client's, as it may stand in a log.
    static func shown(name: String) -> String { line(name, upTo: longestName) }

    /// A message with others' words in it, as it may stand in a log.
    static func shown(message: String) -> String { line(message, upTo: longestMessage) }

    /// The text on one line, without characters that a terminal or a log would interpret.
    private static func line(_ text: String, upTo limit: Int) -> String {
        let shown = text.shown(upTo: limit)
        guard shown.unicodeScalars.contains(where: isUnprintable) else { return shown }
        return shown.unicodeScalars.map { scalar in
            guard isUnprintable(scalar) else { return String(scalar) }
            return scalar == "\n" ? "\\n" : "\\u{\(String(scalar.value, radix: 16))}"
        }.joined()
    }

    private static func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .format: true
        default: false
        }
    }

    /// The error as the client is told it.
    init(_ error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as LanguageModelError: self = Self.prompt(error)
        case let error as ReplicaError: self = Self.replica(error)
        case Admission.Refusal.full:
            self = .overloaded("as many requests wait as may; try again", retryAfter: 1)
        case Admission.Refusal.tooSlow:
            self = .overloaded("no place came free in time; try again", retryAfter: 5)
        case Admission.Refusal.closed:
            self = .overloaded("the server is about to stop", retryAfter: 10)
        case is CancellationError:
            self = .overloaded("the request was cut short because the server stops", retryAfter: 10)
        default: self = .server("\(error)")
        }
    }

    private static func prompt(_ error: LanguageModelError) -> APIError {
        switch error {
        case .promptTooLong: .invalid("\(error)", param: "messages", code: "context_length_exceeded")
        case .unusablePrompt: .invalid("\(error)", param: "messages")
        case .unknownAdapter: APIError(status: .notFound, code: "model_not_found", param: "model", message: "\(error)")
        default: .server("\(error)")
        }
    }

    private static func replica(_ error: ReplicaError) -> APIError {
        switch error {
        case .unavailable(_, _, let seconds):
            APIError(
                status: .serviceUnavailable, type: "server_error", code: "no_replica", message: "\(error)",
                retryAfter: max(1, Int(seconds.rounded(.up))))
        case .failed, .broken:
            APIError(status: .badGateway, type: "server_error", code: "replica_failed", message: "\(error)")
        case .timeLimit:
            APIError(status: .gatewayTimeout, type: "server_error", code: "timeout", message: "\(error)")
        case .crowded: .overloaded("\(error)", retryAfter: 1)
        case .noPlace: .overloaded("\(error)", retryAfter: 5)
        }
    }

    init(
        status: HTTPResponse.Status, type: String = "invalid_request_error", code: String? = nil,
        param: String? = nil, message: String, retryAfter: Int? = nil
    ) {
        self.status = status
        self.type = type
        self.code = code
        self.param = param.map { Self.line($0, upTo: Self.longestName) }
        self.message = Self.line(message, upTo: Self.longestMessage)
        self.retryAfter = retryAfter
    }

    /// The answer to the client.
    var response: Response {
        var response = Response.json(body, status: status)
        if let retryAfter { response.headers[.retryAfter] = String(retryAfter) }
        if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }
}

extension Response {
    /// An answer of JSON.
    /// - Parameter marks: how numbers that are not finite are written: as marks that our own reader knows, or as `null` for
    ///   other readers.
    static func json(
        _ value: JSONValue, status: HTTPResponse.Status = .ok, marks: ExactJSON.Marks = .read
    ) -> Response {
        let bytes = ByteBuffer(string: ExactJSON.text(value, marks: marks) + "\n")
        return Response(
            status: status,
            headers: [.contentType: "application/json", .contentLength: String(bytes.readableBytes)],
            body: ResponseBody(byteBuffer: bytes))
    }
}

extension Double {
    /// Without a fraction where it is whole: `30`, `0.5`.
    fileprivate var formatted: String { self == rounded() && abs(self) < 1e15 ? String(Int(self)) : String(self) }
}
