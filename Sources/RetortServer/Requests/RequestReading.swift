import Foundation

/// Reads requests. Analysing a schema may take a second: that is not done on the threads that answer everybody.
enum RequestReading {
    private static let queue: OperationQueue = {
        let queue = OperationQueue()
        queue.name = "retort.schemas"
        queue.maxConcurrentOperationCount = max(1, ProcessInfo.processInfo.activeProcessorCount / 2)
        return queue
    }()

    /// Parameters that may bring a schema which is enforced.
    private static let schemas: Set<String> = ["response_format", "structured_outputs", "tool_choice"]

    /// What `read` makes of a body.
    /// - Throws: its errors.
    static func of<Value: Sendable>(
        _ body: [UInt8], _ read: @escaping @Sendable ([UInt8]) throws -> Value
    ) async throws -> Value {
        guard let fields = try? RequestFields(body: body), !fields.names.isDisjoint(with: schemas) else {
            return try read(body)
        }
        return try await withCheckedThrowingContinuation { continuation in
            queue.addOperation { continuation.resume(with: Result { try read(body) }) }
        }
    }
}
