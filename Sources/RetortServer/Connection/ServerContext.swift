import Hummingbird
import Logging
import NIOCore

/// What is known about a request besides the request itself.
struct ServerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection that the request came over.
    let channel: any Channel
    /// The facts noted for logs and metrics.
    let notes = RequestNotes()

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// Whether the client is still there.
    /// - Throws: `CancellationError` when the connection no longer exists.
    func presence() async throws -> ClientPresence {
        do {
            return try await channel.pipeline.handler(type: ClientPresence.self).get()
        } catch {
            throw CancellationError()
        }
    }
}
