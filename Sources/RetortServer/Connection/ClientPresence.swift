import NIOCore
import Synchronization

/// Notices when a client closes its connection while its request is worked on.
///
/// A client that closes only its sending side counts as gone, since it cannot be told from one that has left.
final class ClientPresence: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = NIOAny

    private struct State {
        var isGone = false
        var onLeave: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// Whether the client has gone.
    var isGone: Bool { state.withLock { $0.isGone } }

    /// Calls `action` when the client leaves, or at once if it has left; nil removes the action.
    func onLeave(_ action: (@Sendable () -> Void)?) {
        let isGone = state.withLock { state in
            state.onLeave = action
            return state.isGone
        }
        if isGone { action?() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed = event as? ChannelEvent { leave() }
        context.fireUserInboundEventTriggered(event)
    }

    private func leave() {
        let action = state.withLock { state in
            state.isGone = true
            defer { state.onLeave = nil }
            return state.onLeave
        }
        action?()
    }
}
