import Hummingbird
import Logging
import NIOCore

/// What is known of a request besides the request.
struct ServerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection it came by.
    let channel: any Channel
    /// What is noted of it for logs and metrics.
    let notes = RequestNotes()

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// Whether the client is there.
    /// - Throws: `CancellationError` when the connection is no more.
    func presence() async throws -> ClientPresence {
        do {
            return try await channel.pipeline.handler(type: ClientPresence.self).get()
        } catch {
            throw CancellationError()
        }
    }
}
