import HTTPTypes
import Hummingbird
import Logging
import RetortCore
import RetortRetrieval

/// Reports errors in the protocol's form, and notes every answer in the log and the metrics.
struct PassageMiddleware: RouterMiddleware {
    typealias Context = ServerContext

    let metrics: Metrics
    let logger: Logger

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            response = told(error, request, context)
        }
        let route = context.endpointPath ?? "other"
        metrics.count("retort_requests_total", [("route", route), ("status", String(response.status.code))])
        metrics.time("retort_request_seconds", [("route", route)], context.notes.elapsed)
        return response
    }

    private func told(_ error: any Error, _ request: Request, _ context: ServerContext) -> Response {
        var told: APIError
        switch error {
        case let error as HTTPError:
            told = APIError(
                status: error.status == .notFound && request.uri.path == "/retrieve" ? .methodNotAllowed : error.status,
                message: error.body ?? "there is nothing at \(request.method) \(request.uri.path); ask POST /retrieve")
        case RetrievalError.notReady: told = .overloaded("\(error)", retryAfter: 10)
        case RetrievalError.crowded: told = .overloaded("\(error)", retryAfter: 1)
        case RetrievalError.service: told = APIError(status: .badGateway, type: "server_error", message: "\(error)")
        default: told = APIError(error)
        }
        if told.status.code >= 500, told.status != .serviceUnavailable {
            logger.error("a search failed", metadata: ["error": "\(error)", "request": "\(context.notes.id)"])
        }
        let head = told.response
        var response = Response.json(["detail": .string(told.message)], status: told.status)
        for name in [HTTPField.Name.retryAfter, .wwwAuthenticate] { response.headers[name] = head.headers[name] }
        // The rest of an unread body is not waited for.
        if [.contentTooLarge, .requestTimeout, .unsupportedMediaType, .unauthorized].contains(told.status) {
            response.headers[.connection] = "close"
            let channel = context.channel
            channel.eventLoop.scheduleTask(in: .seconds(5)) { channel.close(mode: .all, promise: nil) }
        }
        return response
    }
}
