import RetortCore
import Synchronization

/// Which endpoints turned out to refuse the fields of a prefilled message.
final class PrefillSupport: Sendable {
    private let refusing = Mutex<Set<Endpoint>>([])

    /// The form to use now.
    func form(_ endpoint: Endpoint) -> Endpoint.Prefill {
        guard endpoint.prefill == .automatic else { return endpoint.prefill }
        return refusing.withLock { $0.contains(endpoint) } ? .instructed : .continueFinal
    }

    /// - Returns: whether the failure was such a refusal, so that the next attempt takes another form.
    func learn(_ failure: RemoteError, _ endpoint: Endpoint, used form: Endpoint.Prefill) -> Bool {
        guard endpoint.prefill == .automatic, form == .continueFinal,
            case .rejected(_, let status, let message) = failure,
            status == 400 || status == 422,
            ["continue_final_message", "add_generation_prompt", "prefill", "last message", "assistant"]
                .contains(where: { message.lowercased().contains($0) })
        else { return false }
        refusing.withLock { _ = $0.insert(endpoint) }
        return true
    }
}
