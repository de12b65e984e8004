import AsyncHTTPClient
import Foundation
import NIOCore
import NIOPosix

/// Why a request came to nothing.
package enum WebFault {
    /// The reason in words for users: `connection refused`, not the names and numbers of the layers below.
    package static func reason(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError: error.shortDescription
        case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
        case let error as NIOConnectionError: reason(error)
        default: "\(error)"
        }
    }

    private static func reason(_ error: NIOConnectionError) -> String {
        guard let failure = error.connectionErrors.first else { return "there is no address for '\(error.host)'" }
        return reason(failure.error)
    }
}
