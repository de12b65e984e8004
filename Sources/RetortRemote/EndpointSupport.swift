import RetortCore
import Synchronization

/// Which endpoints turned out to refuse fields of a request that not every server knows.
final class EndpointSupport: Sendable {
    /// What a request is written with.
    struct Form: Sendable, Hashable {
        /// Nil where no message has begun.
        var prefill: Endpoint.Prefill?
        /// Whether token ids are asked for.
        var tokenIDs: Bool
    }

    private enum Feature: Hashable { case prefill, tokenIDs }

    private let refused = Mutex<[Endpoint: Set<Feature>]>([:])

    /// The form to use now.
    func form(_ endpoint: Endpoint, for request: GenerationRequest, _ options: RemoteOptions) -> Form {
        let refused = refused.withLock { $0[endpoint] ?? [] }
        var prefill: Endpoint.Prefill?
        if !request.prefill.isEmpty {
            prefill = endpoint.prefill
            if prefill == .automatic { prefill = refused.contains(.prefill) ? .instructed : .continueFinal }
        }
        let wantsIDs = options.asksForTokenIDs || request.report != .none
        return Form(prefill: prefill, tokenIDs: wantsIDs && !refused.contains(.tokenIDs))
    }

    /// - Returns: whether the failure was the refusal of a field, so that the next attempt takes another form.
    func learn(_ failure: RemoteError, _ endpoint: Endpoint, used form: Form) -> Bool {
        guard case .rejected(_, let status, let message) = failure, status == 400 || status == 422 else { return false }
        func names(_ words: [String]) -> Bool { words.contains { message.lowercased().contains($0) } }
        let feature: Feature
        if form.tokenIDs, names(["return_token_ids"]) {
            feature = .tokenIDs
        } else if form.prefill == .continueFinal, endpoint.prefill == .automatic,
            names(["continue_final_message", "add_generation_prompt", "prefill", "last message", "assistant"])
        {
            feature = .prefill
        } else {
            return false
        }
        refused.withLock { _ = $0[endpoint, default: []].insert(feature) }
        return true
    }
}
