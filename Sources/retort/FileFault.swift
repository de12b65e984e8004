import Foundation

/// An error of Foundation's about a file, in words for users.
enum FileFault {
    /// The file, and what is wrong with it; nil for other errors.
    static func words(_ error: any Error) -> String? {
        guard let error = error as? CocoaError else { return nil }
        let path = error.filePath ?? error.url?.path ?? error.userInfo[NSFilePathErrorKey] as? String
        return "\(path ?? "a file"): \(reason(error)); check the path and its permissions"
    }

    private static func reason(_ error: CocoaError) -> String {
        if let cause = error.underlying as? POSIXError { return String(cString: strerror(cause.code.rawValue)) }
        return switch error.code {
        case .fileNoSuchFile, .fileReadNoSuchFile: "there is no such file"
        case .fileReadNoPermission, .fileWriteNoPermission: "it may not be read or written"
        case .fileWriteOutOfSpace: "there is no space left"
        case .fileWriteFileExists: "it is there already"
        default: "it cannot be used (\(error.code.rawValue))"
        }
    }
}
