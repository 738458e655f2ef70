"""What stands before every route says."""

SENTENCES: dict[str, tuple[str, str]] = {
    "bad_account": ("{flag} 的第 {position} 个账号格式不对，应为 用户名:密码，多个账号用逗号分隔。", "Account {position} of {flag} is not name:password; separate several with commas."),
    "no_account_file": ("无法读取账号文件 {path}（{reason}）。请检查 --gradio-auth-path。", "The file of accounts {path} cannot be read ({reason}). Check --gradio-auth-path."),
    "body_too_large": ("请求超过 {most} MB，未被接受。请分批发送。", "The request is larger than {most} MB and was not accepted. Send it in parts."),
    "foreign_host": ("此服务不响应主机名“{host}”。若这是您的域名，请用 --allowed-host {host} 启动。", "This server does not answer to “{host}”. If that name is yours, start it with --allowed-host {host}."),
    "foreign_origin": ("拒绝来自其他网站（{origin}）的请求。若需允许，请用 --cors-allow-origins {origin} 启动。", "A request from another site ({origin}) was refused. To allow it, start with --cors-allow-origins {origin}."),
    "sign_in_needed": ("请先登录：打开首页输入账号，或在请求中附上 HTTP Basic 账号。", "Sign in first: open the page, or send an account as HTTP Basic."),
    "sign_in_wrong": ("用户名或密码不正确。", "Incorrect username or password."),
    "sign_in_wait": ("尝试次数过多，请 {seconds} 秒后再试。", "Too many attempts; try again in {seconds} seconds."),
    "sign_in_title": ("登录", "Sign in"),
    "sign_in_name": ("用户名", "Name"),
    "sign_in_password": ("密码", "Password"),
    "sign_in_button": ("登录", "Sign in"),
    "sign_in_hint": ("请输入账号以继续。", "Enter your account to go on."),
    "sign_in_hint_password": ("请输入控制台中显示的密码。", "Enter the password shown in the console."),
    "door_here": ("本机访问：  {address}", "On this computer:  {address}"),
    "door_network": ("局域网访问：{address}", "On this network:   {address}"),
    "door_password": ("本次启动的密码：{password}（固定账号请用 --gradio-auth 用户:密码）", "Password of this start: {password}  (for lasting accounts: --gradio-auth name:password)"),
    "door_open": ("警告：未要求登录（--insecure-no-auth），网络中的任何人都能使用。", "Warning: no sign-in is asked (--insecure-no-auth); anyone on the network can use this."),
    "door_share": ("公网访问：  {address}", "From anywhere:     {address}"),
    "door_share_failed": (
        "无法建立公网隧道（--share）：{reason}。本机与局域网访问不受影响；请检查网络，或改用 --listen。",
        "The public tunnel (--share) could not be opened: {reason}. Access from here is not affected; check the network, or use --listen.",
    ),
    "door_scan": ("用手机扫码打开：", "Scan to open it on a phone:"),
}
