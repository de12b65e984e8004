import Glibc

/// Finds a program the way a shell does.
public enum ProgramSearch {
    /// The absolute path of a command: by its path, or in the folders of `PATH`.
    /// - Parameters:
    ///   - path: the value of `PATH`.
    ///   - folder: the folder that relative paths start from; nil is this process's own.
    /// - Throws: `ChildProcessError.notFound`; `cannotStart` for a file that exists but is not executable.
    public static func find(
        _ command: String, path: String, folder: String? = nil
    ) throws(ChildProcessError) -> String {
        let base = absolute(folder ?? ".", in: currentFolder)
        if command.contains("/") {
            let file = absolute(command, in: base)
            guard access(file, F_OK) == 0 else { throw .notFound(command: command, looked: [file]) }
            guard isExecutable(file) else { throw .cannotStart(path: file, reason: "it is not an executable file") }
            return file
        }
        let folders = path.split(separator: ":").map { absolute(String($0), in: base) }
        guard !command.isEmpty, let found = folders.map({ "\($0)/\(command)" }).first(where: isExecutable) else {
            throw .notFound(command: command, looked: folders)
        }
        return found
    }

    private static func isExecutable(_ file: String) -> Bool {
        var status = stat()
        return stat(file, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(file, X_OK) == 0
    }

    private static func absolute(_ path: String, in folder: String) -> String {
        path.hasPrefix("/") ? path : "\(folder)/\(path)"
    }

    private static var currentFolder: String {
        guard let text = getcwd(nil, 0) else { return "/" }
        defer { free(text) }
        return String(cString: text)
    }
}
