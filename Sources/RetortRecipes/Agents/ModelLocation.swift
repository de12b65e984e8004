import Foundation
import RetortCore
import RetortLLM
import RetortRemote
import RetortTensor

/// Where a model is: in this process, or behind an OpenAI-compatible endpoint.
package enum ModelLocation: Sendable {
    /// A checkpoint's folder, with adapters by the names that requests use.
    case folder(URL, adapters: [String: URL] = [:], options: LocalModel.Options = .init(prefixTokens: 1 << 15))
    /// An endpoint. Adapters are models of the endpoint, by the names that requests use.
    case endpoint(EndpointPlan)

    /// Opens the model.
    /// - Parameters:
    ///   - concurrency: the most samples at the same time, or the most requests.
    ///   - seconds: the longest time for one attempt at an endpoint.
    ///   - schema: a JSON schema that an endpoint must hold its replies to; a checkpoint takes grammars instead.
    /// - Throws: the errors of a checkpoint that cannot be read; `RemoteError` for an endpoint that cannot be used.
    package func open(
        concurrency: Int, seconds: Double = RemoteOptions.TimeLimits().total, schema: JSONValue? = nil
    ) async throws -> any LanguageModel {
        switch self {
        case .folder(let folder, let adapters, var options):
            options.maximumSamples = concurrency
            options.adapters = adapters
            return try LocalModel(folder: folder, options: options)
        case .endpoint(var place):
            place.concurrency = concurrency
            let usual = RemoteOptions.TimeLimits()
            let name = try await place.modelName(seconds: usual.connect)
            let remote = try RemoteModel(
                [place.endpoint(model: name)],
                options: RemoteOptions(
                    limits: .init(
                        connect: usual.connect, firstByte: min(usual.firstByte, seconds),
                        idle: min(usual.idle, seconds), total: seconds)),
                identity: name)
            // Not every server supports grammars: it is held to the schema to be enforced, or to nothing.
            return ConstrainedModel(remote, to: try schema.map { .json(try JSONSchema($0)) })
        }
    }
}
