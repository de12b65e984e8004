import HTTPTypes
import Hummingbird
import Logging
import RetortCore

/// Turns errors into OpenAI's form, and notes every answer in the log and the metrics once it is sent.
struct ObservingMiddleware: RouterMiddleware {
    typealias Context = ServerContext

    let core: ServerCore

    private static let completions = "/v1/completions"
    private static let messages = "/v1/messages"

    /// The methods of a path, for `Allow`; nil where there is nothing.
    private static func methods(of path: String) -> String? {
        switch path {
        case "/v1/chat/completions", completions, messages: "POST"
        case "/health", "/metrics", "/v1/models": "GET, HEAD"
        default: path.hasPrefix("/v1/models/") ? "GET, HEAD" : nil
        }
    }

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            response = await answer(error, request, context)
        }
        response.headers[.requestID] = context.notes.id
        guard response.body.contentLength == nil else {
            note(request, context, status: response.status.code)
            return response
        }
        // A stream has ended only once it is written.
        let (body, status) = (response.body, response.status.code)
        response.body = ResponseBody { writer in
            do {
                try await body.write(writer)
            } catch {
                note(request, context, status: Self.clientGone)
                throw error
            }
            note(request, context, status: context.notes.facts.failure?.status.code ?? status)
        }
        return response
    }

    /// nginx's status for clients that did not wait for their answer.
    private static let clientGone = 499

    private func answer(_ error: any Error, _ request: Request, _ context: ServerContext) async -> Response {
        var told: APIError
        let path = request.uri.path
        let methods = Self.methods(of: path)
        if let error = error as? HTTPError {
            told =
                error.status == .notFound && methods != nil
                ? APIError(
                    status: .methodNotAllowed, code: "method_not_allowed", message: "\(path) takes \(methods ?? "")")
                : APIError(
                    status: error.status, code: "not_found",
                    message: error.body ?? "there is nothing at \(request.method) \(request.uri.path)")
        } else if error is CancellationError, (try? await context.presence().isGone) ?? true {
            told = APIError(status: .init(code: Self.clientGone), message: "the client has gone")
        } else {
            told = APIError(error)
        }
        // Errors of a model speak of a chat.
        if path == Self.completions, told.param == "messages" { told.param = "prompt" }
        if told.status == .internalServerError {
            context.logger.error("request failed", metadata: ["error": "\(error)", "request": "\(context.notes.id)"])
        }
        context.notes.fail(told)
        let isAnthropic = path == Self.messages || path.hasPrefix(Self.messages + "/")
        var response = isAnthropic ? told.messagesResponse : told.response
        // The rest of an unread body is read for a while, so that the client gets to see the answer.
        if [.contentTooLarge, .requestTimeout, .unsupportedMediaType, .unauthorized].contains(told.status) {
            response.headers[.connection] = "close"
            let channel = context.channel
            channel.eventLoop.scheduleTask(in: .seconds(5)) { channel.close(mode: .all, promise: nil) }
        }
        if told.status == .methodNotAllowed { response.headers[.allow] = methods }
        return response
    }

    private func note(_ request: Request, _ context: ServerContext, status: Int) {
        let (facts, elapsed) = (context.notes.facts, context.notes.elapsed)
        // All other paths share one name, so that clients cannot create more label values.
        let route = context.endpointPath ?? "other"
        core.metrics.count("retort_requests_total", [("route", route), ("status", String(status))])
        core.metrics.time("retort_request_seconds", [("route", route)], elapsed)
        var metadata: Logger.Metadata = [
            "request": "\(context.notes.id)", "route": "\(route)", "method": "\(request.method)", "status": "\(status)",
            "seconds": "\(elapsed / .seconds(1))",
        ]
        if let model = facts.model {
            core.metrics.count("retort_tokens_total", [("model", model), ("kind", "prompt")], by: facts.promptTokens)
            core.metrics.count(
                "retort_tokens_total", [("model", model), ("kind", "completion")], by: facts.completionTokens)
            metadata["model"] = "\(model)"
            metadata["promptTokens"] = "\(facts.promptTokens)"
            metadata["completionTokens"] = "\(facts.completionTokens)"
        }
        if let replica = facts.replica { metadata["replica"] = "\(replica)" }
        if let first = facts.firstToken {
            core.metrics.time("retort_first_token_seconds", [("route", route)], first)
            metadata["firstTokenSeconds"] = "\(first / .seconds(1))"
        }
        if let failure = facts.failure { metadata["error"] = "\(failure.message)" }
        core.logger.info("request", metadata: metadata)
    }
}

/// Lets in only clients that present a key, except for `/health`.
struct KeyMiddleware: RouterMiddleware {
    typealias Context = ServerContext

    let keys: APIKeys

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        guard keys.isRequired, request.uri.path != "/health" else { return try await next(request, context) }
        let words = (request.headers[.authorization] ?? "").split(separator: " ", maxSplits: 1)
        let isBearer = words.count == 2 && words[0].lowercased() == "bearer" && keys.accept(String(words[1]))
        // Anthropic's clients send the key in this header.
        guard isBearer || (request.headers[.apiKey].map(keys.accept) ?? false) else { throw APIError.wrongKey }
        return try await next(request, context)
    }
}

extension HTTPField.Name {
    /// `x-request-id`
    fileprivate static var requestID: HTTPField.Name { HTTPField.Name("x-request-id") ?? .eTag }
    /// `x-api-key`
    fileprivate static var apiKey: HTTPField.Name { HTTPField.Name("x-api-key") ?? .authorization }
}
