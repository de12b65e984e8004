import Foundation
import RetortRemote

extension EndpointPlan {
    /// The model named for the endpoint, or else the only one that it has.
    /// - Parameter seconds: the longest time for its list of models.
    func modelName(seconds: Double) async throws -> String {
        if let model { return model }
        let models = try await RemoteModel.models(at: endpoint(model: ""), seconds: seconds)
        guard models.count == 1, let only = models.first else {
            throw RemoteError.configuration(
                "\(url) has \(models.count) models (\(models.prefix(8).joined(separator: ", "))); name one with "
                    + "'teacher.model', or on the command line with --teacher-model or --endpoint-model")
        }
        return only
    }

    /// The endpoint, with its key from the environment or from a file.
    /// - Parameter model: the name to request unless the endpoint has its own name for the model.
    func endpoint(model: String) throws -> Endpoint {
        let key =
            try key.map { try APIKey(environment: $0) } ?? keyFile.map { try APIKey(file: URL(fileURLWithPath: $0)) }
        return try Endpoint(
            url, model: self.model ?? model, key: key, weight: weight, concurrency: concurrency, prefill: prefill,
            grammar: grammar ?? .schemas)
    }
}
